/** Reading an app's windows from beside its record loops, as runtime/local-store.ts reads its rows. */
import { readNow } from '../processors/deserialize.ts'
import type {
  ReadOnlyWindowStore,
  ValueAndTimestamp,
  WindowEntry,
  WindowStoreSpec,
} from '../state/store.ts'
import { readOnlyWindowStore } from '../state/window-store.ts'
import type { Isolation } from '../transport/transport.ts'
import { localParts, type LocalStoreOptions, type LocalStoreSource } from './local-store.ts'

type Durations = Pick<WindowStoreSpec<unknown, unknown>, 'retentionMs' | 'sizeMs'>

/** A store of windows, as far as the tasks of this process have it. Reads reject with MILLRACE_STORE_UNAVAILABLE while these are not all running; windows that the store does not keep any more are not found. */
export class LocalWindowStore<K, V> {
  readonly name: string
  readonly #source: LocalStoreSource
  readonly #durations: Durations
  readonly #isolation: Isolation

  /** Made by `StreamsApp.windowStore`. */
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

  /** The value of a key in the window that starts at `startMs`, with its timestamp; undefined where no task of this process has it. */
  async fetch(key: K, startMs: number): Promise<ValueAndTimestamp<V> | undefined> {
    for (const store of this.#parts()) {
      const found = await readNow(() => store.fetch(key, startMs))
      if (found !== undefined) return found
    }
    return undefined
  }

  /** The windows of a key with fromMs <= start <= toMs, ascending. */
  async *fetchRange(key: K, fromMs: number, toMs: number): AsyncGenerator<WindowEntry<K, V>> {
    for (const store of this.#parts()) yield* store.fetchRange(key, fromMs, toMs)
  }

  /** All windows with fromMs <= start <= toMs, one task after the other; those of one key ascending. Of each task a snapshot, taken when its turn comes. */
  async *fetchAll(fromMs: number, toMs: number): AsyncGenerator<WindowEntry<K, V>> {
    for (const store of this.#parts()) yield* store.fetchAll(fromMs, toMs)
  }

  /** The store in each task that has it. */
  #parts(): readonly ReadOnlyWindowStore<K, V>[] {
    return localParts<K, V>(this.#source, this.#isolation).map(({ bytes, opened }) =>
      readOnlyWindowStore(bytes, this.#durations, opened),
    )
  }
}
