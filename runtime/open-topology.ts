/**
 * A topology that met its log: every serde opened, every topic's partitions and id known. Made once
 * per app; tasks are wired from it as often as they start over.
 */
import type { Clock } from '../model/clock.ts'
import type { Topic } from '../model/position.ts'
import type { OpenSerde, Serde } from '../serdes/serde.ts'
import type { Registry } from '../serdes/registry.ts'
import { changelogTopic } from '../state/changelog.ts'
import { openStoreSerdes } from '../state/key-value-store.ts'
import type { GraphNode, Topology, TopologyStore } from '../topology/graph.ts'

/** The opened serdes of one store. */
export interface OpenStore {
  readonly declaration: TopologyStore
  /** Where its changes are logged: its own changelog, or the source topic it mirrors; undefined where it is not logged. */
  readonly changelog: Topic | undefined
  readonly key: OpenSerde<unknown>
  readonly value: OpenSerde<unknown>
}

/** The key and value serdes of a node. */
export interface OpenPair {
  readonly key: OpenSerde<unknown>
  readonly value: OpenSerde<unknown>
}

/** What tasks are wired from. */
export interface OpenTopology {
  readonly topology: Topology
  readonly application: string
  readonly stores: ReadonlyMap<string, OpenStore>
  /** Of sources and sinks, by node name. A source's are those of its first topic. */
  readonly pairs: ReadonlyMap<string, OpenPair>
  /** Of processors, by node name, then by the name the processor gave. */
  readonly serdes: ReadonlyMap<string, ReadonlyMap<string, OpenSerde<unknown>>>
}

/** Opens every serde of a topology. */
export async function openTopology(
  topology: Topology,
  application: string,
  { registry, clock }: { readonly registry: Registry; readonly clock: Clock },
): Promise<OpenTopology> {
  const open = (serde: Serde<unknown>, topic: string, role: 'key' | 'value') =>
    serde.open({ topic, role, registry, clock })
  const stores = new Map<string, OpenStore>()
  for (const declaration of topology.stores) {
    const { spec, changelog } = declaration
    const own = changelogTopic(application, spec.name)
    const topic = changelog === 'own' ? own : changelog.sourceTopic
    stores.set(spec.name, {
      declaration,
      changelog: spec.logged ? topic : undefined,
      ...(await openStoreSerdes(spec, { topic, registry, clock })),
    })
  }
  const pairs = new Map<string, OpenPair>()
  const serdes = new Map<string, ReadonlyMap<string, OpenSerde<unknown>>>()
  for (const node of topology.nodes) {
    if (node.kind === 'processor') {
      const opened = new Map<string, OpenSerde<unknown>>()
      for (const [name, use] of Object.entries(node.spec.serdes ?? {})) {
        opened.set(name, await open(use.serde, use.topic, use.role))
      }
      serdes.set(node.name, opened)
    } else {
      const topic = topicOf(node)
      pairs.set(node.name, {
        key: await open(node.key, topic, 'key'),
        value: await open(node.value, topic, 'value'),
      })
    }
  }
  return { topology, application, stores, pairs, serdes }
}

function topicOf(node: Exclude<GraphNode, { kind: 'processor' }>): string {
  return node.kind === 'sink' ? node.topic : (node.topics[0] as string)
}
