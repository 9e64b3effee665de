/** A stream whose records are taken together by their key. */
import { count } from '../processors/count.ts'
import { int64 } from '../serdes/primitives.ts'
import type { KeyValueStoreSpec } from '../state/store.ts'
import type { Facts } from './facts.ts'
import { PREFIX } from './naming.ts'
import type { CountOptions } from './options.ts'
import { keyed, keySerde } from './requirements.ts'
import { valueChanged, type StreamState } from './stream-state.ts'
import { KTable, type MakeStream } from './table.ts'

/** What `groupByKey` answers. Its V is what the records carry. */
export class KGroupedStream<K, V> {
  /** Never set: carries V for inference. */
  readonly value?: V
  readonly #state: StreamState
  readonly #streamOf: MakeStream

  /** Made by `groupByKey`, never by an author. */
  constructor(state: StreamState, streamOf: MakeStream) {
    this.#state = state
    this.#streamOf = streamOf
  }

  /** How many records each key has had. Records without key or value do not count. */
  count(options: CountOptions = {}): KTable<K, bigint, Facts<'known', 'known', 'by-key'>, never> {
    const { name, store, persistent = true, logged = true } = options
    const { draft, node: parent } = this.#state
    // Kafka Streams takes an index for a store that was described but not named, then another for
    // the name it makes; an author's changelogs have to keep their names when a pipeline moves here.
    const isDescribed = options.persistent !== undefined || options.logged !== undefined
    if (store === undefined && isDescribed) draft.naming.skip()
    const storeName = draft.naming.store(PREFIX.aggregate, store)
    const node = draft.naming.step(PREFIX.aggregate, name)
    keyed(this.#state, node)
    const rows: KeyValueStoreSpec<K, bigint> = {
      kind: 'key-value',
      name: storeName,
      key: keySerde(this.#state, node),
      value: int64,
      persistent,
      logged,
    }
    draft.addProcessor({ spec: count<K, V>(node, rows), parents: [parent], keyed: true })
    return new KTable(valueChanged(this.#state, node, int64), this.#streamOf)
  }
}
