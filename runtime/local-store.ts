/**
 * Reading an app's stores from beside its record loops: Kafka Streams' interactive queries, for what
 * this process owns. A read is answered by the tasks that run now, looked up anew each time, for a
 * task may move away or start over between two reads. It sees what is committed, unless the caller
 * asks for more: a count that is shown and then aborted would be a lie.
 */
import { MillraceError } from '../model/errors.ts'
import { readNow } from '../processors/deserialize.ts'
import { readOnlyKeyValueStore } from '../state/key-value-store.ts'
import type { ReadOnlyKeyValueStore, ValueAndTimestamp } from '../state/store.ts'
import type { OpenSerde } from '../serdes/serde.ts'
import type { ReadableStore } from '../state/store-layers.ts'
import type { TimedStoreParts } from '../state/timed-face.ts'
import type { Isolation } from '../transport/transport.ts'
import type { OpenStore } from './open-topology.ts'
import type { UnitTask } from './unit-task.ts'

/** How a store is read. */
export interface LocalStoreOptions {
  /** read_committed (the default) shows what is in the log for good; read_uncommitted also what the open commit unit wrote. */
  readonly isolation?: Isolation
}

/** What a local store asks of its app, at every read. */
export interface LocalStoreSource {
  readonly name: string
  /** Undefined while the app has not opened its topology. */
  open(): OpenStore | undefined
  /** The tasks of this process; undefined while one of them is not running. */
  tasks(): readonly UnitTask[] | undefined
}

/** A store of an app, as far as the tasks of this process have it. Reads reject with MILLRACE_STORE_UNAVAILABLE while these are not all running. */
export class LocalStore<K, V> {
  readonly name: string
  readonly #source: LocalStoreSource
  readonly #isolation: Isolation

  /** Made by `StreamsApp.store`. */
  constructor(source: LocalStoreSource, { isolation = 'read_committed' }: LocalStoreOptions = {}) {
    this.name = source.name
    this.#source = source
    this.#isolation = isolation
  }

  /** The value of a key; undefined where no task of this process has it. */
  async get(key: K): Promise<V | undefined> {
    return (await this.getWithTimestamp(key))?.value
  }

  /** The value of a key with the timestamp of the record that wrote it. */
  async getWithTimestamp(key: K): Promise<ValueAndTimestamp<V> | undefined> {
    for (const store of this.#parts()) {
      const found = await readNow(() => store.getWithTimestamp(key))
      if (found !== undefined) return found
    }
    return undefined
  }

  /** Entries with from <= key <= to, one task after the other, those of one task in byte order of the serialized keys. Of each task a snapshot, taken when its turn comes. */
  async *range(from?: K, to?: K): AsyncGenerator<readonly [K, ValueAndTimestamp<V>]> {
    for (const store of this.#parts()) yield* store.range(from, to)
  }

  /** All entries, as `range` gives them. */
  all(): AsyncGenerator<readonly [K, ValueAndTimestamp<V>]> {
    return this.range()
  }

  /** The store in each task that has it. */
  #parts(): readonly ReadOnlyKeyValueStore<K, V>[] {
    return localParts<K, V>(this.#source, this.#isolation).map(({ bytes, opened }) =>
      readOnlyKeyValueStore(bytes, opened),
    )
  }
}

/** A store in one task. */
export interface LocalPart<K, V> {
  readonly bytes: ReadableStore
  readonly opened: TimedStoreParts<K, V>
}

/** A store in each task of this process that has it. Throws MILLRACE_STORE_UNAVAILABLE. K and V are what the store was declared with. */
export function localParts<K, V>(
  source: LocalStoreSource,
  isolation: Isolation,
): readonly LocalPart<K, V>[] {
  const { name } = source
  const open = source.open()
  const tasks = source.tasks()
  if (open === undefined || tasks === undefined) throw unavailable(name)
  const owners = tasks.filter(({ taskId }) =>
    taskId.subtopology.stores.some(({ spec }) => spec.name === name),
  )
  const serdes = { key: open.key as OpenSerde<K>, value: open.value as OpenSerde<V> }
  return owners.map(({ state, loop }) => {
    const bytes = state.store(name)
    return {
      bytes: isolation === 'read_committed' ? bytes.committed : bytes,
      opened: { ...serdes, heldTime: () => loop.holds.oldest },
    }
  })
}

function unavailable(name: string): MillraceError {
  return new MillraceError(
    'MILLRACE_STORE_UNAVAILABLE',
    `the store ${name} cannot be read now: the app is not running, or some of its tasks are starting. ` +
      'Read again when the app runs.',
    { place: name, remedy: 'retry' },
  )
}
