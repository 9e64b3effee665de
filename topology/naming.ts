/**
 * The names of steps and stores that their author did not name. They are Kafka Streams' own, down to
 * which call takes which index, so that describe, changelogs and tools carry over: a step takes an
 * index, also one that was given a name (but for those of `unlessGiven`), and so does a store that
 * was not.
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
  processValues: 'KSTREAM-PROCESSVALUES-',
  branch: 'KSTREAM-BRANCH-',
  repartition: 'KSTREAM-REPARTITION-',
  aggregate: 'KSTREAM-AGGREGATE-',
  reduce: 'KSTREAM-REDUCE-',
  join: 'KSTREAM-JOIN-',
  leftJoin: 'KSTREAM-LEFTJOIN-',
  windowed: 'KSTREAM-WINDOWED-',
  joinThis: 'KSTREAM-JOINTHIS-',
  joinOther: 'KSTREAM-JOINOTHER-',
  outerThis: 'KSTREAM-OUTERTHIS-',
  outerOther: 'KSTREAM-OUTEROTHER-',
  outerShared: 'KSTREAM-OUTERSHARED-',
  toTable: 'KSTREAM-TOTABLE-',
  enrich: 'KSTREAM-ENRICH-',
  joinOnce: 'KSTREAM-JOINONCE-',
  tableSource: 'KTABLE-SOURCE-',
  tableFilter: 'KTABLE-FILTER-',
  tableMapValues: 'KTABLE-MAPVALUES-',
  tableSelect: 'KTABLE-SELECT-',
  tableAggregate: 'KTABLE-AGGREGATE-',
  tableReduce: 'KTABLE-REDUCE-',
  toStream: 'KTABLE-TOSTREAM-',
} as const

/** The prefixes of steps that Kafka Streams does not have and describe does not show. */
export const HIDDEN_PREFIX = {
  byReference: 'BYREFERENCE-',
  dereference: 'DEREFERENCE-',
} as const

const REPARTITION_SUFFIX = '-repartition'

/** What Kafka Streams takes for a name of its own making. */
const MADE_NAME = /^KSTREAM.*-[0-9]{10}$/

/** The repartition topic that is named after `prefix`. */
export function repartitionTopic(prefix: string): string {
  return prefix.endsWith(REPARTITION_SUFFIX) ? prefix : prefix + REPARTITION_SUFFIX
}

/** A repartition topic and its nodes: records pass the filter, leave by the sink and come back by the source. */
export interface RepartitionNames {
  readonly topic: string
  /** Undefined where records are not asked for a key: they were given one. */
  readonly filter?: string
  readonly sink: string
  readonly source: string
}

/** Hands out the names of one topology, in the order of the calls. */
export class Naming {
  #next = 0
  #nextHidden = 0

  /** The name of a step: the author's, or the prefix and the index. Takes the index either way. */
  step(prefix: string, given?: string): string {
    const name = prefix + this.#index()
    return given ?? name
  }

  /** The name of a step that takes an index only where the author gave no name: `process`, `repartition`. */
  unlessGiven(prefix: string, given?: string): string {
    return given ?? this.step(prefix)
  }

  /**
   * The names of the three nodes of a repartition topic that is named after `prefix`. They take
   * three indices, and show them where the prefix is itself a name that was made.
   */
  repartition(prefix: string): RepartitionNames {
    const made = {
      sink: this.step(PREFIX.sink),
      filter: this.step(PREFIX.filter),
      source: this.step(PREFIX.source),
    }
    const topic = repartitionTopic(prefix)
    if (MADE_NAME.test(prefix)) return { topic, ...made }
    return { topic, sink: `${topic}-sink`, filter: `${topic}-filter`, source: `${topic}-source` }
  }

  /** The names of the repartition topic of a grouped table, and of the two nodes that an aggregate of that name has it by. */
  tableRepartition(prefix: string, aggregate?: string): RepartitionNames {
    const [sink, source] = [this.step(PREFIX.sink), this.step(PREFIX.source)]
    const topic = repartitionTopic(prefix)
    if (aggregate === undefined) return { topic, sink, source }
    return { topic, sink: `${aggregate}-sink`, source: `${aggregate}-source` }
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
