/**
 * A topology: which records flow where, as a frozen value without any I/O. It is what the builder
 * makes, what describe prints, and all that the runtime is told. Nodes refer to each other by name,
 * so that the value can be printed, compared and walked in either direction.
 */
import type { Clock } from '../model/clock.ts'
import type { Topic } from '../model/position.ts'
import type { ProcessorSpec } from '../processors/processor.ts'
import type { Serde } from '../serdes/serde.ts'
import type { StoreSpec } from '../state/store.ts'

/** A whole pipeline. Made by `topology(...)`, which has found it valid. */
export interface Topology {
  readonly name: string
  /** In the order they were declared: parents before children. */
  readonly nodes: readonly GraphNode[]
  readonly stores: readonly TopologyStore[]
  /** In the order of their ids. */
  readonly subtopologies: readonly Subtopology[]
  /** The topics that bring records of one key together, where a step changed the key. */
  readonly repartitions: readonly RepartitionTopic[]
}

/** A step of a topology. */
export type GraphNode = SourceNode | ProcessorNode | SinkNode

/** Where records come in. */
export interface SourceNode {
  readonly kind: 'source'
  readonly name: string
  readonly topics: readonly Topic[]
  readonly key: AnySerde
  readonly value: AnySerde
  /** Left out: the record's own timestamp. */
  readonly timestamp?: TimestampExtractor
  /** How the writers of the topics choose a partition. Left out: by the key's bytes. */
  readonly partitionBy?: PartitionBy
  readonly children: readonly string[]
}

/** An operator. */
export interface ProcessorNode {
  readonly kind: 'processor'
  readonly name: string
  readonly spec: AnyProcessorSpec
  /** In the order in which the operator knows them. */
  readonly parents: readonly string[]
  readonly children: readonly string[]
  /** Has no index and is not described: its parents and children are shown connected. */
  readonly hidden: boolean
  /** Counts on all records of one key being in one task: the topics it reads from need as many partitions, chosen alike. */
  readonly keyed: boolean
  /** The tables, by node, whose rows it looks up: no record comes from there, but they have to be partitioned like its parents. */
  readonly lookups: readonly string[]
}

/** Where records go out. */
export interface SinkNode {
  readonly kind: 'sink'
  readonly name: string
  readonly topic: Topic
  readonly key: AnySerde
  readonly value: AnySerde
  /** What the author said for this topic. */
  readonly partitionBy?: PartitionBy
  /** The source node whose key the records still have: where the partition counts agree, a record keeps its task's partition. */
  readonly keyUnchangedFrom?: string
  /** That source's `partitionBy`: for where the partition counts differ and the author said nothing here. */
  readonly inheritedPartitionBy?: PartitionBy
  readonly parents: readonly string[]
}

/** A topic that an application writes and reads for itself, and creates. */
export interface RepartitionTopic {
  /** `<name>-repartition`, as Kafka Streams describes it; a running application puts its own name before (topology/application.ts). */
  readonly topic: Topic
  /** As the author said. Left out: found when the app starts (topology/repartition-counts.ts). */
  readonly partitions?: number
}

/** A store and who uses it. */
export interface TopologyStore {
  readonly spec: StoreSpec
  /** The names of the processors that use it. */
  readonly processors: readonly string[]
  /** `own`: a changelog topic of its own, if it is logged; else the source topic that the store mirrors. */
  readonly changelog: 'own' | { readonly sourceTopic: Topic }
}

/** Whether a store has a changelog topic of its own. */
export function hasOwnChangelog({ spec, changelog }: TopologyStore): boolean {
  return spec.logged && changelog === 'own'
}

/** Nodes that are connected by records or by a shared store: what runs together in one task, a task for each partition. */
export interface Subtopology {
  /** From 0, as Kafka Streams counts them. */
  readonly id: number
  readonly nodes: readonly GraphNode[]
  readonly sourceTopics: readonly Topic[]
  readonly stores: readonly TopologyStore[]
}

/** What a timestamp may be read from. */
export interface TimestampedRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** The record's own, milliseconds since 1970. */
  readonly timestamp: number
  readonly key: unknown
  readonly value: unknown
}

/**
 * The timestamp of a record, milliseconds since 1970. `partitionTimeMs` is the largest of the
 * partition so far, -1 before the first. A record with a negative answer is left out and counted in
 * `dropped-records`; one for which it throws cannot be read (failures.deserialization).
 */
export type TimestampExtractor = (
  record: TimestampedRecord,
  partitionTimeMs: number,
  clock: Clock,
) => number

/** The part of a key that decides its partition: Kafka's murmur2 of the text's UTF-8 bytes. */
// eslint-disable-next-line typescript/no-explicit-any -- keys of any type, where nodes of all types are listed.
export type PartitionBy<K = any> = (key: K) => string

/** A serde where nodes of all types are listed. */
// eslint-disable-next-line typescript/no-explicit-any -- see above.
export type AnySerde = Serde<any>

/** An operator where nodes of all types are listed. */
// eslint-disable-next-line typescript/no-explicit-any -- see above.
export type AnyProcessorSpec = ProcessorSpec<any, any, any, any>
