/** Runs one operator as a task does: a real store under it, its forwards and counters collected. */
import type { ProcessorContext, ProcessorSpec } from '../../processors/processor.ts'
import { asPartition } from '../../model/position.ts'
import { NO_HEADERS, StreamRecord, type Headers } from '../../model/record.ts'
import { keyValueStore, openStoreSerdes } from '../../state/key-value-store.ts'
import { TaskState } from '../../state/layers.ts'
import { memoryDatabase } from '../../state/memory-database.ts'
import type { KeyValueStore, KeyValueStoreSpec } from '../../state/store.ts'
import { handClock } from '../state/fixtures.ts'

/** An operator that runs. */
export interface RunningOperator<K, V, L, W> {
  send(key: K, value: V, timestamp?: number, headers?: Headers): void
  /** `[key, value, timestamp]` of what was forwarded since the last call. */
  taken(): (readonly [L, W, number])[]
  readonly forwarded: StreamRecord<L, W>[]
  readonly counters: ReadonlyMap<string, number>
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
  const stores = new Map<string, KeyValueStore<unknown, unknown>>()
  for (const store of specs) {
    const serdes = await openStoreSerdes(store, { topic: `app-${store.name}-changelog`, registry })
    stores.set(store.name, keyValueStore<unknown, unknown>(state.store(store.name), serdes))
  }
  const forwarded: StreamRecord<L, W>[] = []
  const counters = new Map<string, number>()
  const storeOf = <SK, SV>({ name }: KeyValueStoreSpec<SK, SV>): KeyValueStore<SK, SV> => {
    const store = stores.get(name)
    if (store === undefined) throw new TypeError(`${spec.name} did not declare ${name}`)
    return store as KeyValueStore<SK, SV>
  }
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
    serde: unused,
    enqueue: unused,
    holdTime: unused,
    heldTime: unused,
    deadLetter: unused,
    payloads: { keep: unused, peek: unused, read: unused },
    shared: unused,
    count: (name, amount = 1) => void counters.set(name, (counters.get(name) ?? 0) + amount),
  }
  const logic = spec.create(context)
  const process = typeof logic === 'function' ? logic : logic.process
  return {
    send: (key, value, timestamp = 0, headers = NO_HEADERS) =>
      process(new StreamRecord(key, value, timestamp, headers)),
    taken: () => forwarded.splice(0).map(({ key, value, timestamp }) => [key, value, timestamp]),
    forwarded,
    counters,
    store: storeOf,
  }
}
