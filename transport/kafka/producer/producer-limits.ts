/** Every bound, wait and retry of a producer, by name. */
import type { KafkaLimits } from '../limits.ts'

/** Limits of one producer. */
export interface ProducerLimits {
  /** Bytes up to which records of a partition are gathered into one batch; a larger record is a batch alone. Default: 1,000,000, just below what a topic takes by default. */
  readonly batchBytes: number
  /** Bytes of batches in one request at most, or one batch. Default: 16 MiB. */
  readonly requestBytes: number
  /** Requests under way to one broker; it remembers the last five batches of a producer in a partition, so more would not be safe. Default: 5. */
  readonly inFlightRequests: number
  /** Milliseconds after which a batch leaves that is not full. Default: 5. */
  readonly lingerMs: number
  /** Bytes that a producer queues at most; a record beyond is refused at the next flush. Default: 512 MiB. */
  readonly producerBytes: number
  /** From `send` to the acknowledgement; a batch that is older is given up when its last try is over. Default: 120,000. */
  readonly deliveryTimeoutMs: number
  /** How long a broker waits for the replicas of a batch before it says so. Default: 15,000. */
  readonly replicationTimeoutMs: number
  /** From a produce request to its answer; what passes it ends the connection. Default: 30,000. */
  readonly produceDeadlineMs: number
  /** After how long without an answer it is asked whether the broker is still the one to ask. Default: 3,000. */
  readonly doubtMs: number
  /** How long a partition that the cluster does not know is looked for. Default: 3,000. */
  readonly unknownPartitionMs: number
  /** One search for the leader of a partition. Default: 5,000. */
  readonly leaderDeadlineMs: number
  /** How long `init` tries. Default: 60,000. */
  readonly initDeadlineMs: number
  /** How long any other call to a coordinator tries: offsets, commit, abort. Default: 60,000. */
  readonly coordinatorDeadlineMs: number
  /** How long a producer that closes tries to abort what is open; its timeout does it otherwise. Default: 5,000. */
  readonly closeDeadlineMs: number
  /** Delay before a request is repeated that found the transaction before it unfinished; grows slowly from here to the most. Default: 2. */
  readonly concurrentMinMs: number
  /** Default: 50. */
  readonly concurrentMaxMs: number
  /** The timeout of a transaction whose producer names none. Default: 60,000. */
  readonly transactionTimeoutMs: number
}

/** What holds where nothing else is said. */
export const PRODUCER_LIMITS: ProducerLimits = Object.freeze({
  batchBytes: 1_000_000,
  requestBytes: 16 * 1024 * 1024,
  inFlightRequests: 5,
  lingerMs: 5,
  producerBytes: 512 * 1024 * 1024,
  deliveryTimeoutMs: 120_000,
  replicationTimeoutMs: 15_000,
  produceDeadlineMs: 30_000,
  doubtMs: 3_000,
  unknownPartitionMs: 3_000,
  leaderDeadlineMs: 5_000,
  initDeadlineMs: 60_000,
  coordinatorDeadlineMs: 60_000,
  closeDeadlineMs: 5_000,
  concurrentMinMs: 2,
  concurrentMaxMs: 50,
  transactionTimeoutMs: 60_000,
})

/** The limits of a producer with those of the cluster's retries. */
export type ProducerPatience = ProducerLimits & Pick<KafkaLimits, 'retryMinMs' | 'retryMaxMs'>
