/** A topology as JSON, for programs: everything that describe shows, with serdes, stores and changelogs. */
import type { StoreSpec } from '../state/store.ts'
import type { GraphNode, Topology, TopologyStore } from './graph.ts'
import { visibleNodes, type VisibleNode } from './visible.ts'

const INDENT = 2

/** `{ name, subtopologies: [{ id, sourceTopics, nodes, stores }], repartitions: [{ topic, partitions? }] }` as JSON text, nodes in the order of their declaration. */
export function describeJson(topology: Topology): string {
  const subtopologies = topology.subtopologies.map(({ id, sourceTopics, nodes, stores }) => ({
    id,
    sourceTopics,
    nodes: visibleNodes(nodes).map((each) => nodeJson(each)),
    stores: stores.map((store) => storeJson(store)),
  }))
  const { name, repartitions } = topology
  return JSON.stringify({ name, subtopologies, repartitions }, undefined, INDENT)
}

function nodeJson({ node, parents, children }: VisibleNode): object {
  return { name: node.name, kind: node.kind, ...detailsOf(node), parents, children }
}

function detailsOf(node: GraphNode): object {
  switch (node.kind) {
    case 'source':
      return { topics: node.topics, key: node.key.name, value: node.value.name }
    case 'processor': {
      const stores = (node.spec.stores ?? []).map(({ name }) => name)
      return { operator: node.spec.kind, stores }
    }
    case 'sink':
      return { topic: node.topic, key: node.key.name, value: node.value.name }
    default:
      return node satisfies never
  }
}

function storeJson({ spec, processors, changelog }: TopologyStore): object {
  const { name, kind, key, value, persistent, logged } = spec
  const serdes = { key: key.name, value: value.name }
  return { name, kind, ...serdes, ...durationsOf(spec), persistent, logged, changelog, processors }
}

function durationsOf(spec: StoreSpec): object {
  switch (spec.kind) {
    case 'key-value':
      return {}
    case 'window':
      return { sizeMs: spec.sizeMs, retentionMs: spec.retentionMs }
    case 'join-window':
      return { windowMs: spec.windowMs, retentionMs: spec.retentionMs }
    case 'session':
      return { retentionMs: spec.retentionMs }
    default:
      return spec satisfies never
  }
}
