/** Reading an app's sessions from beside its record loops, as runtime/local-store.ts reads its rows. */
import { readNow } from '../processors/deserialize.ts'
import { readOnlySessionStore } from '../state/session-store.ts'
import type {
  ReadOnlySessionStore,
  Session,
  SessionStoreSpec,
  WindowEntry,
} from '../state/store.ts'
import type { Isolation } from '../transport/transport.ts'
import { localParts, type LocalStoreOptions, type LocalStoreSource } from './local-store.ts'

type Durations = Pick<SessionStoreSpec<unknown, unknown>, 'retentionMs'>

/** A store of sessions, as far as the tasks of this process have it. Reads reject with MILLRACE_STORE_UNAVAILABLE while these are not all running; sessions that the store does not keep any more are not found. */
export class LocalSessionStore<K, V> {
  readonly name: string
  readonly #source: LocalStoreSource
  readonly #durations: Durations
  readonly #isolation: Isolation

  /** Made by `StreamsApp.sessionStore`. */
  constructor(
    source: LocalStoreSource,
    durations: Durations,
    { isolation = 'read_committed' }: LocalStoreOptions = {},
  ) {
    this.name = source.name
    this.#source = source
    this.#durations = durations
    this.#isolation = isolation
  }

  /** The session of a key with exactly these times; undefined where no task of this process has it. */
  async fetch(key: K, startMs: number, endMs: number): Promise<Session<V> | undefined> {
    for (const store of this.#parts()) {
      const found = await readNow(() => store.fetch(key, startMs, endMs))
      if (found !== undefined) return found
    }
    return undefined
  }

  /** The sessions of a key that reach into fromMs <= time <= toMs, ascending; all of them where no times are given. */
  async find(key: K, fromMs = 0, toMs = Infinity): Promise<readonly Session<V>[]> {
    for (const store of this.#parts()) {
      const found = await readNow(() => store.find(key, fromMs, toMs))
      if (found.length > 0) return found
    }
    return []
  }

  /** All sessions, one task after the other; those of one key ascending. Of each task a snapshot, taken when its turn comes. */
  async *all(): AsyncGenerator<WindowEntry<K, V>> {
    for (const store of this.#parts()) yield* store.all()
  }

  /** The store in each task that has it. */
  #parts(): readonly ReadOnlySessionStore<K, V>[] {
    return localParts<K, V>(this.#source, this.#isolation).map(({ bytes, opened }) =>
      readOnlySessionStore(bytes, this.#durations, opened),
    )
  }
}
