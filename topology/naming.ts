/**
 * The names of steps and stores that their author did not name. They are Kafka Streams' own, down to
 * which call takes which index, so that describe, changelogs and tools carry over: a step takes an
 * index, also one that was given a name (but for `process`), and so does a store that was not.
 */

const INDEX_DIGITS = 10

/** The prefixes of step names, by the step. */
export const PREFIX = {
  source: 'KSTREAM-SOURCE-',
  sink: 'KSTREAM-SINK-',
  filter: 'KSTREAM-FILTER-',
  map: 'KSTREAM-MAP-',
  mapValues: 'KSTREAM-MAPVALUES-',
  flatMap: 'KSTREAM-FLATMAP-',
  flatMapValues: 'KSTREAM-FLATMAPVALUES-',
  selectKey: 'KSTREAM-KEY-SELECT-',
  peek: 'KSTREAM-PEEK-',
  foreach: 'KSTREAM-FOREACH-',
  merge: 'KSTREAM-MERGE-',
  process: 'KSTREAM-PROCESSOR-',
  aggregate: 'KSTREAM-AGGREGATE-',
  enrich: 'KSTREAM-ENRICH-',
  joinOnce: 'KSTREAM-JOINONCE-',
  tableSource: 'KTABLE-SOURCE-',
  tableFilter: 'KTABLE-FILTER-',
  tableMapValues: 'KTABLE-MAPVALUES-',
  toStream: 'KTABLE-TOSTREAM-',
} as const

/** The prefixes of steps that Kafka Streams does not have and describe does not show. */
export const HIDDEN_PREFIX = {
  byReference: 'BYREFERENCE-',
  dereference: 'DEREFERENCE-',
} as const

/** Hands out the names of one topology, in the order of the calls. */
export class Naming {
  #next = 0
  #nextHidden = 0

  /** The name of a step: the author's, or the prefix and the index. Takes the index either way. */
  step(prefix: string, given?: string): string {
    const name = prefix + this.#index()
    return given ?? name
  }

  /** The name of a `process` step, which takes an index only where the author gave none. */
  process(given?: string): string {
    return given ?? this.step(PREFIX.process)
  }

  /** The two names of a table: its source takes the first index and the author's name with `-source` behind it. */
  table(given?: string): readonly [source: string, table: string] {
    const source = this.step(PREFIX.source, given === undefined ? undefined : `${given}-source`)
    return [source, this.step(PREFIX.tableSource, given)]
  }

  /** The name of a store: the author's, which takes no index, or one made with the next. */
  store(prefix: string, given?: string): string {
    return given ?? `${prefix}STATE-STORE-${this.#index()}`
  }

  /** Takes an index for nothing, where Kafka Streams does. */
  skip(): void {
    this.#next += 1
  }

  /** The name of a hidden step. These count by themselves, so that they move no other name. */
  hidden(prefix: string, given?: string): string {
    const name = prefix + padded(this.#nextHidden)
    this.#nextHidden += 1
    return given ?? name
  }

  #index(): string {
    const index = padded(this.#next)
    this.#next += 1
    return index
  }
}

function padded(index: number): string {
  return index.toString().padStart(INDEX_DIGITS, '0')
}
