/**
 * What the client half of an embedded log (its readers and producers) asks of the half that holds the
 * folder. The two halves meet here and nowhere else, so that the same readers and producers work in
 * the process that holds the log, over a socket in others, and across a change of the holder.
 *
 * A transaction lives and dies with one session of its process with one holder: records that were
 * appended in an earlier session may be known to nobody's memory any more, and guessing which of them
 * count is what exactly-once forbids. All else may be asked again of the next holder.
 */
import type { Offset, PartitionOffset, Topic, TopicPartition } from '../../model/position.ts'
import type {
  DescribedMember,
  GenerationRequest,
  HeartbeatAnswer,
  JoinAnswer,
  JoinRequest,
  MemberOfGroup,
  SyncAnswer,
  SyncRequest,
} from '../group-requests.ts'
import type { PartitionSource } from '../prefetch.ts'
import type {
  CommittedOffset,
  GroupMetadata,
  Isolation,
  LogEnd,
  NewTopic,
  TopicDescription,
} from '../transport.ts'
import type { TextOf } from './bytes-as-text.ts'
import type { TaskAnswer } from './limits.ts'
import type { Outcome } from './partition-log.ts'
import type { Append } from './partition-writer.ts'
import type { ProducerIdentity } from './producers.ts'

/** What a client must know of a topic without asking. */
export interface TopicFacts {
  readonly topic: Topic
  readonly topicId: string
  readonly partitions: number
  /** The largest batch it takes. */
  readonly maxMessageBytes: number
  /** Whether a record without a key is refused. */
  readonly compacts: boolean
}

/** Questions whose words and answers are plain data (JSON but for undefined), by name. */
export interface Questions {
  describeTopics: {
    readonly request: { readonly topics?: readonly Topic[] | undefined }
    readonly answer: readonly TopicDescription[]
  }
  /** The client makes the id: so a question that is asked again finds its own topic, not another's. */
  createTopic: { readonly request: NewTopic & { readonly topicId: string }; readonly answer: null }
  /** With the id of the topic that is meant, one that is gone by now is no error: it was asked before. */
  deleteTopic: {
    readonly request: { readonly topic: Topic; readonly topicId?: string | undefined }
    readonly answer: null
  }
  deleteRecords: { readonly request: PartitionOffset; readonly answer: null }
  offsets: {
    readonly request: {
      readonly partitions: readonly TopicPartition[]
      readonly end: LogEnd
      readonly isolation: Isolation
    }
    readonly answer: readonly Offset[]
  }
  committedOffsets: {
    readonly request: { readonly groupId: string; readonly partitions: readonly TopicPartition[] }
    readonly answer: readonly (CommittedOffset | null)[]
  }
  commitOffsets: {
    readonly request: {
      readonly group: GroupMetadata
      readonly offsets: readonly CommittedOffset[]
    }
    readonly answer: null
  }
  initProducer: { readonly request: InitRequest; readonly answer: ProducerIdentity }
  /** Throws what stands against a producer's next step. */
  checkProducer: {
    readonly request: { readonly identity: ProducerIdentity }
    readonly answer: null
  }
  addOffsets: {
    readonly request: {
      readonly identity: ProducerIdentity
      readonly offsets: readonly CommittedOffset[]
      readonly group: GroupMetadata
    }
    readonly answer: null
  }
  /** The requests of a group's members; bytes in them travel as base64. */
  joinGroup: { readonly request: TextOf<JoinRequest>; readonly answer: TextOf<JoinAnswer> }
  syncGroup: { readonly request: TextOf<SyncRequest>; readonly answer: TextOf<SyncAnswer> }
  heartbeat: { readonly request: GenerationRequest; readonly answer: HeartbeatAnswer }
  leaveGroup: { readonly request: MemberOfGroup; readonly answer: null }
  deleteGroup: { readonly request: { readonly groupId: string }; readonly answer: null }
  describeGroup: {
    readonly request: { readonly groupId: string }
    readonly answer: TextOf<readonly DescribedMember[]>
  }
  /** Runs the holder's task. */
  holderTask: { readonly request: { readonly words: unknown }; readonly answer: TaskAnswer }
  /** Compacts all that is stable of a partition now. */
  compact: { readonly request: TopicPartition; readonly answer: null }
}

/** The name of a question. */
export type Question = keyof Questions

/** A producer that introduces itself. */
export interface InitRequest {
  readonly transactionalId?: string | undefined
  readonly timeoutMs: number
  /** Goes on as the next epoch of this one, or not at all where another took over meanwhile. */
  readonly after?: ProducerIdentity | undefined
}

/** The session that a transaction began in: set by the first call of it that reaches a holder. */
export interface TransactionScope {
  readonly transactionalId: string
  session: object | undefined
}

/** Batches for one partition. */
export interface AppendRequest {
  readonly identity: ProducerIdentity
  readonly at: TopicPartition & { readonly topicId: string }
  readonly append: Append
  /** Of the transaction, where the producer is transactional. */
  readonly scope: TransactionScope | undefined
}

/** How a producer wants to end a transaction. */
export interface EndRequest {
  readonly identity: ProducerIdentity
  readonly outcome: Outcome
  /** Counts the producer's transactions since its init: a commit that is asked for again is known by it. */
  readonly transaction: number
  readonly scope: TransactionScope
}

/** How a question is asked. */
export interface AskOptions {
  /** The question belongs to this transaction: in another session it fails with MILLRACE_TRANSACTION_LOST. */
  readonly scope?: TransactionScope | undefined
  readonly signal?: AbortSignal | undefined
  /** Where its answer is lost it fails with MILLRACE_LOG_UNREACHABLE, for asked twice it would mean something else. */
  readonly isOnce?: boolean
}

/** The half of a log that holds the folder, or the way to it. Calls reach it in the order they are made. */
export interface LogBroker extends PartitionSource {
  /** Throws MILLRACE_LOG_CLOSED once the log is closed. */
  assertOpen(): void
  /** What is known of a topic; undefined where there is none. */
  topic(topic: Topic): TopicFacts | undefined
  /** Calls `onChange` when another holder, who knows no members of groups, took the log over. Returns what ends that. */
  watchHolder?(onChange: () => void): () => void
  ask<Q extends Question>(
    question: Q,
    request: Questions[Q]['request'],
    options?: AskOptions,
  ): Promise<Questions[Q]['answer']>
  /** Appends; resolves with the offset of the last record. */
  append(request: AppendRequest): Promise<Offset>
  /** Ends a transaction. A commit asked for again, in whichever session, is answered as it came out. */
  end(request: EndRequest): Promise<void>
}

/** Whether a call of a transaction may go out in this session, which is its own from now on. */
export function entersSession(scope: TransactionScope, session: object): boolean {
  scope.session ??= session
  return scope.session === session
}
