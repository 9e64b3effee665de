/** Which of a topology's stores can be read from beside the app, and how. */
import type { StoreSpec } from '../state/store.ts'
import type { Topology } from '../topology/graph.ts'

/** The store of that name. A TypeError says which there are. */
export function storeToRead({ name: topology, stores }: Topology, name: string): StoreSpec {
  const found = stores.find(({ spec }) => spec.name === name)
  if (found !== undefined) return found.spec
  const there = stores.map(({ spec }) => spec.name).join(', ') || 'none'
  throw new TypeError(`${topology} has no store ${name}; it has ${there}`)
}

const HOW_TO_READ: Readonly<Record<StoreSpec['kind'], string>> = {
  'key-value': 'rows by key: read it with store(name)',
  window: 'windows: read it with windowStore(name)',
  'join-window': 'what waits in a join, which only the join can read',
  session: 'sessions: read it with sessionStore(name)',
}

/** Why a store cannot be read the way that was asked for. */
export function otherKind({ name, kind }: StoreSpec): string {
  return `the store ${name} keeps ${HOW_TO_READ[kind]}`
}
