/** The sizes, waits and retries of a Kafka reader. */

/** The limits of one reader, and of its connections to one broker each. */
export interface FetchLimits {
  /** A fetch waits so long at the broker for a first byte. Only partitions that are caught up wait. */
  readonly maxWaitMs: number
  /** How often partitions are asked for that are caught up and not in the fetch which is waiting already. */
  readonly besideIntervalMs: number
  /** From sending a request to its answer, without the wait above. */
  readonly requestDeadlineMs: number
  /** A fetch that is not answered for so long makes one ask whether its partitions are led elsewhere. */
  readonly doubtAfterMs: number
  /** Bytes one fetch asks for at most; its first batch comes whole, however large. */
  readonly responseMaxBytes: number
  /** The same, where every partition asked for was caught up: it holds so much of the budget while it waits. */
  readonly pollMaxBytes: number
  /** Bytes one fetch asks for of one partition at most. */
  readonly partitionMaxBytes: number
  /** Batches are handed out together up to so many bytes: what one take decodes. */
  readonly takeMaxBytes: number
  /** A batch that decompresses to more is refused. */
  readonly decompressedMaxBytes: number
  /** Buffers of answers that were given back, kept for the next ones. */
  readonly pooledBytes: number
  /** A topic or partition that metadata does not know for so long does not exist. */
  readonly unknownTopicMs: number
  /** A replica that the leader named is asked for so long before the leader is asked again. */
  readonly preferredReplicaMs: number
  /** Delay before the first retry; it doubles with each further one. */
  readonly retryMinMs: number
  /** Largest delay between two retries. */
  readonly retryMaxMs: number
  /** Bytes that neighbouring single records are fetched together up to. */
  readonly pointReadBytes: number
  /** Requests for single records under way at a time. */
  readonly pointReadsInFlight: number
  /** How long a single record is asked for again where brokers cannot answer. */
  readonly pointReadDeadlineMs: number
}

const KIB = 1024
const MIB = 1024 * KIB

/** What holds where nothing else is said. */
export const FETCH_LIMITS: FetchLimits = {
  maxWaitMs: 500,
  besideIntervalMs: 20,
  requestDeadlineMs: 30_000,
  doubtAfterMs: 2_000,
  responseMaxBytes: 4 * MIB,
  pollMaxBytes: 256 * KIB,
  partitionMaxBytes: MIB,
  takeMaxBytes: 128 * KIB,
  decompressedMaxBytes: 512 * MIB,
  pooledBytes: 48 * MIB,
  unknownTopicMs: 3_000,
  preferredReplicaMs: 300_000,
  retryMinMs: 20,
  retryMaxMs: 1_000,
  pointReadBytes: 4 * MIB,
  pointReadsInFlight: 4,
  pointReadDeadlineMs: 60_000,
}
