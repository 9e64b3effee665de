/** What can be set when an embedded log is opened, with the named limits and their defaults. */
import type { Clock } from '../../model/clock.ts'
import type { TopicPartition } from '../../model/position.ts'

/**
 * - process: a transaction survives the death of the process; the operating system writes it out
 * - fsync: every acknowledgement and every commit waits until the disk has it
 */
export type Durability = 'process' | 'fsync'

/** What the task of a holder answers: JSON. */
export type TaskAnswer = string | number | boolean | object | null

/** How an embedded log is opened. */
export interface EmbeddedLogOptions extends Partial<EmbeddedLogLimits> {
  /** Made where it does not exist. It must be empty or an embedded log. */
  readonly folder: string
  readonly clock: Clock
  /** Default: process. */
  readonly durability?: Durability
  /**
   * Whether other processes may use the log at the same time: whoever holds the folder serves the
   * others, and when it ends another one takes over. All of them must say so. Default: false.
   */
  readonly share?: boolean
  /** Shared: ends the wait for a holder while the log is opened; the opening rejects with its reason. */
  readonly signal?: AbortSignal
  /**
   * What only one process at a time may do beside the log, for example write a file of its folder:
   * `askHolder` runs it in the process that holds the log. Request and answer are JSON. It may be
   * asked the same thing twice, where its holder ended before it answered.
   */
  readonly holderTask?: (request: unknown) => Promise<TaskAnswer>
  /**
   * Hears why a partition could not be cleaned (a full disk, damage). It is tried again after
   * `cleanRetryMs`; its records stay, and reading and writing go on.
   */
  readonly onCleaningFailed?: (error: Error, of: TopicPartition) => void
}

/** Every bound of an embedded log. */
export interface EmbeddedLogLimits {
  /** Bytes after which a partition goes on in a new segment file, for topics without `segment.bytes`. Default: 256 MiB. */
  readonly segmentBytes: number
  /** Bytes up to which a producer gathers records into one batch; a larger record is a batch alone. Default: 1 MiB. */
  readonly batchBytes: number
  /** Bytes that one write hands to the disk at most, or one batch. Default: 16 MiB. */
  readonly writeBytes: number
  /** Writes that a producer has under way per partition, so that the CRC of one overlaps the write of another. Default: 2. */
  readonly writesInFlight: number
  /** Bytes of queued records at which a producer starts to write without being asked to flush. Default: 1 MiB. */
  readonly writeAheadBytes: number
  /** Milliseconds after which it starts to write whatever is queued. Default: 5. */
  readonly lingerMs: number
  /** Bytes that a producer queues at most; a record beyond is refused at the next flush. Default: 512 MiB. */
  readonly producerBytes: number
  /** Segment files that are kept open between uses. Default: 256. */
  readonly openFiles: number
  /** Bytes of read buffers kept for the next read. Default: 64 MiB. */
  readonly pooledBytes: number
  /** Rows that one write to the index gathers at most, one waiting change in any case. Default: 10,000. */
  readonly indexBatchRows: number
  /** The timeout of a transaction whose producer names none. Default: 60,000. */
  readonly transactionTimeoutMs: number
  /** How long a producer's sequences and a transactional id are kept after their last use. Default: 7 days. */
  readonly producerExpiryMs: number
  /** Partitions of one topic at most. Default: 10,000. */
  readonly partitionsPerTopic: number
  /** Milliseconds between two looks for what retention or compaction may remove. Default: 15,000. */
  readonly cleanIntervalMs: number
  /** Bytes that compaction reads before it rests for three times as long as it worked. Default: 32 MiB. */
  readonly cleanRunBytes: number
  /** Segments that one run removes from one partition at most. Default: 64. */
  readonly cleanRunSegments: number
  /** Bytes for the keys that compaction keeps in memory; where they do not suffice it takes several rounds. Default: 64 MiB. */
  readonly cleanKeyBytes: number
  /** Milliseconds until a partition is cleaned again after that failed. Default: 10 minutes. */
  readonly cleanRetryMs: number
  /** Shared: milliseconds that a call waits for a process that serves the log. Default: 30,000. */
  readonly holderDeadlineMs: number
  /** Shared: milliseconds until a connection that was accepted must have been answered. Default: 5,000. */
  readonly handshakeMs: number
  /** Shared: milliseconds between two looks for a new holder at most; they begin at a few and double. Default: 200. */
  readonly electionRetryMs: number
  /** Shared: bytes of records in one request or answer at most. Default: 1 GiB. */
  readonly frameBytes: number
  /** Shared: bytes of one process's requests under way, and as many of answers it has not taken, before the holder reads no more of it. Default: 64 MiB. */
  readonly sessionBytes: number
  /** Shared: requests of one process under way before the holder reads no more of it. Default: 4,096. */
  readonly sessionRequests: number
  /** Shared: processes that one holder serves at most. Default: 1,024. */
  readonly sessions: number
  /** Shared: milliseconds that a holder which closes waits for requests under way. Default: 2,000. */
  readonly farewellMs: number
}

const MIB = 1024 * 1024

/** The defaults of every limit. */
export const EMBEDDED_LOG_LIMITS: EmbeddedLogLimits = Object.freeze({
  segmentBytes: 256 * MIB,
  batchBytes: MIB,
  writeBytes: 16 * MIB,
  writesInFlight: 2,
  writeAheadBytes: MIB,
  lingerMs: 5,
  producerBytes: 512 * MIB,
  openFiles: 256,
  pooledBytes: 64 * MIB,
  indexBatchRows: 10_000,
  transactionTimeoutMs: 60_000,
  producerExpiryMs: 7 * 24 * 3600 * 1000,
  partitionsPerTopic: 10_000,
  cleanIntervalMs: 15_000,
  cleanRunBytes: 32 * MIB,
  cleanRunSegments: 64,
  cleanKeyBytes: 64 * MIB,
  cleanRetryMs: 10 * 60_000,
  holderDeadlineMs: 30_000,
  handshakeMs: 5_000,
  electionRetryMs: 200,
  frameBytes: 1024 * MIB,
  sessionBytes: 64 * MIB,
  sessionRequests: 4_096,
  sessions: 1_024,
  farewellMs: 2_000,
})
