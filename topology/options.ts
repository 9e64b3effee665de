/** What an author may say about a step. Everything has a default but what only the author can know. */
import type { EnrichOptions } from '../processors/enrich-options.ts'
import type { JoinOnceOptions } from '../processors/join-once.ts'
import type { JoinWindows } from '../processors/join-windows.ts'
import type { Reference } from '../processors/payloads.ts'
import type { ProcessDeclaration } from '../processors/process.ts'
import type { ProcessValuesDeclaration } from '../processors/process-values.ts'
import type { OpenSerde, Serde, SerdeContext } from '../serdes/serde.ts'
import type { PartitionBy, TimestampExtractor } from './graph.ts'
import type { KStream } from './stream.ts'

/** What a serde of a stream's values writes: null is a tombstone and needs none. */
export type Written<V> = Exclude<V, null>

/** A name for a step; it shows in describe, messages and metrics. */
export interface Named {
  /** Letters, digits, `.`, `_` and `-`; unique in the topology. Default: Kafka Streams' name. */
  readonly name?: string
}

/** How a topic is read. */
export interface SourceOptions<K, V> extends Named {
  readonly key: Serde<K>
  readonly value: Serde<V>
  /** Default: the record's own timestamp, where a negative one cannot be read. topology/timestamps.ts has others. */
  readonly timestamp?: TimestampExtractor
  /** How the topic's writers choose the partition, where it is not by the key's bytes. Steps that bring topics together compare it: use one function for all of them. */
  readonly partitionBy?: PartitionBy<K>
}

/** How a topic becomes a table. */
export interface TableOptions<K, V> extends SourceOptions<K, V> {
  /** Keeps the rows in a store of this name; the topic itself is its changelog. Default: nothing is kept, updates pass. */
  readonly store?: string
  /** LevelDB, or memory that is filled from the topic at every start. Default true. */
  readonly persistent?: boolean
}

/** A step that changes the value: it has no serde until one is given. */
export interface ValueStep<V> extends Named {
  readonly value?: Serde<Written<V>>
}

/** A step that changes the key: it has no serde until one is given. */
export interface KeyStep<K> extends Named {
  readonly key?: Serde<K>
}

/** A step that changes both. */
export interface KeyValueStep<K, V> extends KeyStep<K>, ValueStep<V> {}

/** An author's own step. */
export interface ProcessStep<K, V, L, W>
  extends KeyValueStep<L, W>, ProcessDeclaration<K, V, L, W> {}

/** A serde of which only the writing half is used: a schema that is wider than the stream's values, with a nullable field say, fits. */
export interface SinkSerde<T> extends Pick<Serde<T>, 'name'> {
  open(context: SerdeContext): Promise<Pick<OpenSerde<T>, 'serialize' | 'prefix'>>
}

/** How a topic is written. */
export interface SinkOptions<K, V> extends Named {
  readonly key?: SinkSerde<K>
  readonly value?: SinkSerde<Written<V>>
  /** Chooses the partition by this text. Default: a record whose key is unchanged since its source keeps its partition, any other goes by its key's bytes. */
  readonly partitionBy?: PartitionBy<K>
}

/** How a topic is written and read again. */
export interface ThroughOptions<K, V>
  extends KeyValueStep<K, V>, Pick<SinkOptions<K, V>, 'partitionBy'> {
  /** Of the records that are read again. Default: the record's own. */
  readonly timestamp?: TimestampExtractor
}

/** How records are brought to the partitions of their keys. */
export interface RepartitionStep<K, V> extends Named {
  readonly key?: Serde<K>
  readonly value?: Serde<Written<V>>
  /** Default: as many as the largest topic that the records come from, or as a step by key asks for. */
  readonly partitions?: number
  /** Chooses the partition by this text. Default: by the key's bytes. */
  readonly partitionBy?: PartitionBy<K>
}

/** How a stream is grouped by the keys it has. */
export interface GroupOptions<K, V> {
  /** Of the repartition topic, `<name>-repartition`, where there is one: it is then shared by all steps on this group. Default: each makes one, named after its store. */
  readonly name?: string
  readonly key?: Serde<K>
  readonly value?: Serde<Written<V>>
}

/** How a stream is grouped by other keys. */
export interface GroupByOptions<L, V> extends GroupOptions<L, V> {
  readonly key: Serde<L>
}

/** How a table is grouped. */
export interface GroupTableOptions<L, W> {
  /** Of the step, and of the repartition topic `<name>-repartition`. */
  readonly name?: string
  readonly key: Serde<L>
  readonly value: Serde<W>
}

/** Where a step keeps its rows. */
export interface StoreStep extends Named {
  /** The name of the store, and so of its changelog. Give one to be able to change the topology later. */
  readonly store?: string
  /** LevelDB, or memory that is filled from the changelog at every start. Default true. */
  readonly persistent?: boolean
  /** Whether changes go to a changelog topic. Without one the rows are not exactly-once and are lost with the folder. Default true. */
  readonly logged?: boolean
}

/** How a count is kept. */
export type CountOptions = StoreStep

/** How a reduction is kept. */
export interface ReduceOptions<V> extends StoreStep {
  /** Default: the stream's own. */
  readonly value?: Serde<Written<V>>
}

/** How an aggregate is kept. */
export interface AggregateOptions<A> extends StoreStep {
  readonly value: Serde<A>
}

/** Where a step keeps its windows. */
export interface WindowStoreStep extends StoreStep {
  /**
   * How long a window can be read after its start, by the times of windows; at least their size and
   * grace, which is the default. Records come no later for it.
   */
  readonly retentionMs?: number
}

/** How a windowed count is kept. */
export type WindowedCountOptions = WindowStoreStep

/** How a windowed reduction is kept. */
export interface WindowedReduceOptions<V> extends WindowStoreStep, ReduceOptions<V> {}

/** How a windowed aggregate is kept. */
export interface WindowedAggregateOptions<A> extends WindowStoreStep, AggregateOptions<A> {}

/** How the rows of a group become one value. */
export interface TableAggregator<K, V, A> {
  /** The value of a group before its first row. */
  readonly initial: () => A
  /** The value with one more row; null removes the group. */
  readonly add: (aggregate: A, value: V, key: K) => A | null
  /** The value with one row less; null removes the group. */
  readonly subtract: (aggregate: A, value: V, key: K) => A | null
}

/** How a stream becomes a table. Its rows are kept where `store` names a store, or a later step needs them. */
export interface ToTableStep<K, V> extends StoreStep {
  readonly key?: Serde<K>
  readonly value?: Serde<Written<V>>
}

/** A join of a stream with a table. The stream's serdes are its own where they are known. */
export interface TableJoinStep<K, L, Out> extends Named {
  readonly key?: Serde<K>
  readonly left?: Serde<Written<L>>
  /** Of what `join` answers. */
  readonly value?: Serde<Written<Out>>
}

/** A join of two streams. Their serdes are their own where they are known. */
export interface StreamJoinStep<K, L, R, Out> extends StoreStep {
  /** How far apart in time records may be. */
  readonly windows: JoinWindows
  /** What the names of the join's stores begin with, and so those of their changelogs. Give one to be able to change the topology later. */
  readonly store?: string
  readonly key?: Serde<K>
  readonly left?: Serde<Written<L>>
  readonly right?: Serde<Written<R>>
  /** Of what `join` answers. */
  readonly value?: Serde<Written<Out>>
}

/** An author's own step that leaves keys alone. */
export interface ProcessValuesStep<K, V, W>
  extends ValueStep<W>, ProcessValuesDeclaration<K, V, W> {}

/** A join step. The sides' serdes are the streams' own where they are known. */
export type JoinOnceStep<K, L, R, Out> = JoinOnceOptions<L, R, Out> & {
  readonly key?: Serde<K>
  readonly left?: Serde<L>
  readonly right?: Serde<R>
  /** Of what `join` answers. */
  readonly value?: Serde<Written<Out>>
}

/** How a step reads what references stand for: its order, limits and failure policy, as for `enrich`. */
export type ReadingStep<K, V, Out> = Named &
  Pick<EnrichOptions<K, V, Out>, 'orderBy' | 'calls' | 'onFailure'>

/** Which reference of a value is resolved, and what the value becomes. */
export type DereferenceStep<K, V, T, Out> = ReadingStep<K, V, Out> & {
  /** The stream whose values the references stand for. */
  readonly from: KStream<K, Reference<T>>
  /** The reference in a value; null where it has none. */
  readonly select: (value: V) => Reference<T> | null
  /** The value with what its reference stands for; null where it has none. */
  readonly replace: (value: V, payload: T | null) => Out
  /** Of what `replace` answers. */
  readonly value?: Serde<Written<Out>>
}
