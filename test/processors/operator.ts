/** Runs one operator as a task does: a real store under it, its forwards and counters collected. */
import type { ProcessorContext, ProcessorSpec } from '../../processors/processor.ts'
import { asPartition } from '../../model/position.ts'
import { NO_HEADERS, StreamRecord, type Headers } from '../../model/record.ts'
import { joinWindowStore } from '../../state/join-window-store.ts'
import { keyValueStore, openStoreSerdes, type StoreSerdes } from '../../state/key-value-store.ts'
import { TaskState } from '../../state/layers.ts'
import { memoryDatabase } from '../../state/memory-database.ts'
import { sessionStore } from '../../state/session-store.ts'
import type { KeyValueStore, KeyValueStoreSpec, TimedStoreSpec } from '../../state/store.ts'
import type { LayeredStore } from '../../state/store-layers.ts'
import type { TimedStoreParts } from '../../state/timed-face.ts'
import { windowStore } from '../../state/window-store.ts'
import { handClock } from '../state/fixtures.ts'

/** An operator that runs. */
export interface RunningOperator<K, V, L, W> {
  send(key: K, value: V, timestamp?: number, headers?: Headers): void
  /** `[key, value, timestamp]` of what was forwarded since the last call. */
  taken(): (readonly [L, W, number])[]
  readonly forwarded: StreamRecord<L, W>[]
  readonly counters: ReadonlyMap<string, number>
  /** As if a step before held records back, the oldest of `heldMs`; Infinity at first. */
  readonly time: { heldMs: number }
  store<SK, SV>(spec: KeyValueStoreSpec<SK, SV>): KeyValueStore<SK, SV>
}

const registry = {
  register: () => Promise.reject(new Error('no schema is used here')),
  schemaById: () => Promise.reject(new Error('no schema is used here')),
}

export async function runOperator<K, V, L, W>(
  spec: ProcessorSpec<K, V, L, W>,
): Promise<RunningOperator<K, V, L, W>> {
  const specs = spec.stores ?? []
  const database = memoryDatabase()
  const clock = handClock()
  const state = new TaskState({ stores: specs, database, volatileDatabase: database, clock })
  const opened = new Map<string, StoreSerdes<unknown, unknown>>()
  for (const store of specs) {
    const topic = `app-${store.name}-changelog`
    opened.set(
      store.name,
      await openStoreSerdes<unknown, unknown>(store, { topic, registry, clock }),
    )
  }
  /** What the rest of the task would say of time. */
  const time = { heldMs: Infinity }
  const forwarded: StreamRecord<L, W>[] = []
  const counters = new Map<string, number>()
  const openStore = <SK, SV>({
    name,
  }: KeyValueStoreSpec<SK, SV> | TimedStoreSpec<SK, SV>): readonly [
    LayeredStore,
    TimedStoreParts<SK, SV>,
  ] => {
    const serdes = opened.get(name) as StoreSerdes<SK, SV> | undefined
    if (serdes === undefined) throw new TypeError(`${spec.name} did not declare ${name}`)
    return [state.store(name), { ...serdes, heldTime: () => time.heldMs }]
  }
  const storeOf = <SK, SV>(store: KeyValueStoreSpec<SK, SV>): KeyValueStore<SK, SV> =>
    keyValueStore(...openStore(store))
  const unused = (): never => {
    throw new TypeError('this operator has no use for that')
  }
  const context: ProcessorContext<L, W> = {
    forward: (record) => void forwarded.push(record),
    forwardTo: unused,
    schedule: unused,
    applicationId: 'app',
    taskId: '0_0',
    partition: asPartition(0),
    name: spec.name,
    clock,
    signal: new AbortController().signal,
    source: () => undefined,
    origin: () => undefined,
    streamTime: unused,
    caughtUp: unused,
    store: storeOf,
    windowStore: (store) => {
      const [bytes, parts] = openStore(store)
      return windowStore(bytes, store, parts)
    },
    joinWindowStore: (store) => {
      const [bytes, parts] = openStore(store)
      return joinWindowStore(bytes, store, parts)
    },
    sessionStore: (store) => {
      const [bytes, parts] = openStore(store)
      return sessionStore(bytes, store, parts)
    },
    serde: unused,
    enqueue: unused,
    holdTime: unused,
    heldTime: () => time.heldMs,
    deadLetter: unused,
    payloads: { keep: unused, peek: unused, read: unused },
    shared: unused,
    count: (name, amount = 1) => void counters.set(name, (counters.get(name) ?? 0) + amount),
  }
  const logic = spec.create(context)
  const process = typeof logic === 'function' ? logic : logic.process
  if (typeof logic !== 'function') await logic.open?.()
  return {
    send: (key, value, timestamp = 0, headers = NO_HEADERS) =>
      process(new StreamRecord(key, value, timestamp, headers)),
    taken: () => forwarded.splice(0).map(({ key, value, timestamp }) => [key, value, timestamp]),
    forwarded,
    counters,
    time,
    store: storeOf,
  }
}
