/**
 * What a state folder depends on, as text: the sub-topologies by their topics, and their stores. A
 * folder whose text is another one belongs to another topology, and its rows would be taken for what
 * they are not. Steps without state may come, go and be renamed.
 */
import type { StoreSpec } from '../state/store.ts'
import type { Topology, TopologyStore } from './graph.ts'

/** The text of a topology: one line for each sub-topology and store, equal for topologies that can share their state. */
export function topologyFingerprint(topology: Topology): string {
  return topology.subtopologies
    .flatMap(({ id, sourceTopics, stores }) => [
      `sub-topology ${id} reads ${[...sourceTopics].sort().join(' ')}`,
      ...stores.map((store) => `sub-topology ${id} keeps ${describeStore(store)}`).sort(),
    ])
    .join('\n')
}

function describeStore({ spec, changelog }: TopologyStore): string {
  const { name, kind, key, value, persistent, logged } = spec
  const place = persistent ? 'on disk' : 'in memory'
  const log = changelog === 'own' ? 'of its own' : changelog.sourceTopic
  return (
    `${name}: ${kind} ${key.name} to ${value.name}${describeTimes(spec)}, ${place}, ` +
    `changelog ${logged ? log : 'none'}`
  )
}

/** Where an entry lies, and what it means, depends on these. */
function describeTimes(spec: StoreSpec): string {
  switch (spec.kind) {
    case 'key-value':
      return ''
    case 'window':
      return ` in windows of ${spec.sizeMs} ms kept for ${spec.retentionMs} ms`
    case 'join-window':
      return ` joined over ${spec.windowMs} ms kept for ${spec.retentionMs} ms`
    case 'session':
      return ` kept for ${spec.retentionMs} ms`
    default:
      return spec satisfies never
  }
}
