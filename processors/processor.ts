/**
 * The contract of an operator: what happens to one record. The declared half (ProcessorSpec) is plain
 * data that topology/ prints and validates; `create` runs once per task and again after every abort,
 * so that whatever the running half keeps in fields is dropped with the transaction it came from.
 */
import type { Clock } from '../model/clock.ts'
import type { Headers, LogRecord, StreamRecord } from '../model/record.ts'
import type { Partition, Topic } from '../model/position.ts'
import type {
  JoinWindowStore,
  JoinWindowStoreSpec,
  KeyValueStore,
  KeyValueStoreSpec,
  SessionStore,
  SessionStoreSpec,
  StoreSpec,
  WindowStore,
  WindowStoreSpec,
} from '../state/store.ts'
import type { OpenSerde, Serde } from '../serdes/serde.ts'
import type { Lease, Payloads } from './payloads.ts'

/** An operator before it runs. */
export interface ProcessorSpec<K, V, KOut, VOut> {
  /** The word for messages: `filter`, `enrich`. */
  readonly kind: string
  readonly name: string
  readonly stores?: readonly StoreSpec[]
  /** Serdes the operator opens for itself, beside those of its stores, by a name of its own. */
  readonly serdes?: Readonly<Record<string, SerdeUse>>
  /** It keeps bytes of `source()` only while it holds their lease. Without this word they are taken to be kept for ever. */
  readonly leasesSource?: true
  /** It may call `deadLetter`: an app that has no dead-letter topic is then refused before it starts, and not at the first letter. */
  readonly deadLetters?: true
  create(context: ProcessorContext<KOut, VOut>): ProcessRecord<K, V> | Processor<K, V>
}

/** A serde together with the topic whose subject it belongs to. */
export interface SerdeUse {
  // eslint-disable-next-line typescript/no-explicit-any -- serdes of any types, by name.
  readonly serde: Serde<any>
  readonly topic: string
  readonly role: 'key' | 'value'
}

/** Takes one record; forwards none, one or many. Synchronous. What it throws goes to the processing error handler. */
export type ProcessRecord<K, V> = (record: StreamRecord<K, V>) => void

/** The running half of an operator that needs more than a function. */
export interface Processor<K, V> {
  readonly process: ProcessRecord<K, V>
  /** For an operator with several parents that must tell them apart: one function a parent, in the parents' order. Default: `process` for each. */
  readonly inputs?: readonly ProcessRecord<K, V>[]
  /** Runs after the stores are restored and before the first record. */
  open?(): Promise<void>
  /** Runs before a commit is sealed: last chance to write what was kept in fields. Synchronous. */
  beforeCommit?(): void
  /** Ends what the operator started. Runs once, also after an abort. */
  close?(): Promise<void>
}

/** The clock of a schedule: the task's stream time, or the machine's time. */
export type PunctuationType = 'stream-time' | 'wall-clock'

/** A schedule that goes on until it is cancelled. */
export interface Scheduled {
  cancel(): void
}

/** What an operator may use of its task. */
export interface ProcessorContext<KOut, VOut> {
  /** Hands a record to the children, depth first, in the order they were added. */
  readonly forward: (record: StreamRecord<KOut, VOut>) => void
  /** The function that hands records to one child alone. Throws a TypeError where there is no child of that name. */
  readonly forwardTo: (child: string) => (record: StreamRecord<KOut, VOut>) => void
  readonly applicationId: string
  /** `<subtopology>_<partition>`, as in Kafka Streams. */
  readonly taskId: string
  readonly partition: Partition
  readonly name: string
  readonly clock: Clock
  /** Aborts when this running half is dropped: at an abort of the transaction, and when the task closes. */
  readonly signal: AbortSignal
  /** The record of the log that is being processed; undefined inside an event. */
  readonly source: () => SourceRecord | undefined
  /** The largest timestamp this task has processed; -1 before the first. */
  readonly streamTime: () => number
  /** Whether every input partition of the task was read to its last stable offset and nothing is queued. */
  readonly caughtUp: () => boolean
  /** A store that the operator declared. */
  store<K, V>(spec: KeyValueStoreSpec<K, V>): KeyValueStore<K, V>
  /** A window store that the operator declared. This and the next two expire by min(observed time, `heldTime`). */
  windowStore<K, V>(spec: WindowStoreSpec<K, V>): WindowStore<K, V>
  /** A store of one side of a windowed join that the operator declared. */
  joinWindowStore<K, V>(spec: JoinWindowStoreSpec<K, V>): JoinWindowStore<K, V>
  /** A session store that the operator declared. */
  sessionStore<K, V>(spec: SessionStoreSpec<K, V>): SessionStore<K, V>
  /** An opened serde that the operator declared under `name` in `serdes`. */
  serde<T>(name: string): OpenSerde<T>
  /**
   * What names the work under way the same at every attempt and after every crash: the place of the
   * record of the log, `topic/partition/offset`, or the one that the running event was enqueued with.
   */
  readonly origin: () => string | undefined
  /**
   * Runs `event` inside the record loop, between two records, as part of the open commit unit: the
   * only way for asynchronous work to touch stores or to forward. What it throws is the operator's
   * failure. Events of a running half that was dropped never run. `origin` names what the event is
   * about, for the steps behind.
   */
  readonly enqueue: (event: () => void, origin?: string) => void
  /**
   * Calls `run` every `intervalMs`, between two records and as part of the open commit unit. By
   * stream time: after the first record, then after the one that takes stream time to a multiple of
   * the interval or beyond. By the wall clock: first one interval from now. Intervals that went by
   * together are one call; it is told the time it is. In it `source` is undefined. Schedules end with
   * the running half that made them, and `create` makes them anew. Asserts an interval of at least 1.
   */
  readonly schedule: (
    intervalMs: number,
    type: PunctuationType,
    run: (timestampMs: number) => void,
  ) => Scheduled
  /**
   * Says that records up to now wait in this operator, the oldest with this timestamp (undefined:
   * none): time downstream in the task does not pass it, so that a slow service never makes a join
   * drop its partner.
   */
  readonly holdTime: (oldestPendingMs: number | undefined) => void
  /** The oldest timestamp held by any operator of the task; Infinity where none is. Expire by min(observed time, this). */
  readonly heldTime: () => number
  /** Sends a record that cannot be processed to the dead-letter topic, in the open commit unit. Throws MILLRACE_NO_DEAD_LETTER_TOPIC where none is configured. */
  readonly deadLetter: (letter: DeadLetter) => void
  /** The bytes behind references. */
  readonly payloads: Payloads
  /** One object per process and key, shared by all tasks: for limits. Made at the first call. */
  shared<T>(key: object, make: () => T): T
  /** Tells whoever runs the app what they should know meanwhile, in a sentence. For what repeats: seldom. */
  readonly notice?: (message: string) => void
  /** Adds to a named counter of this operator. */
  readonly count: (counter: string, amount?: number) => void
}

/** Where the record being processed lies in the log, and its bytes. */
export interface SourceRecord {
  readonly topic: Topic
  readonly topicId: string
  readonly partition: Partition
  readonly leaderEpoch: number
  readonly record: LogRecord
  /** Of the record's bytes, where they may be used again: only for steps that hold it as long as they need them. */
  readonly lease?: Lease | undefined
}

/** A record that cannot be processed, as the source topic carried it, and why. */
export interface DeadLetter {
  readonly error: Error
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly timestamp: number
  readonly headers: Headers
  /** Where the record came from; undefined where it is not known any more. */
  readonly topic: string | undefined
  readonly partition: number | undefined
  readonly offset: number | undefined
}
