/** What is said in the frames of a shared log, and how batches of records go beside it. */
import type { Offset, PartitionOffset, Topic, TopicPartition } from '../../../model/position.ts'
import type { LogRecord } from '../../../model/record.ts'
import type { FetchAnswer, FetchRequest } from '../../prefetch.ts'
import {
  BATCH_HEADER_BYTES,
  decodeRecords,
  readBatchHeader,
  verifyBatch,
} from '../../record-batch.ts'
import type { FoundRecord } from '../../transport.ts'
import type { AppendRequest, EndRequest, Question, Questions, TopicFacts } from '../broker.ts'
import type { Durability } from '../limits.ts'
import type { Append, SealedBatch } from '../partition-writer.ts'
import type { Frame } from './frame.ts'
import { protocolBroken } from './sharing-errors.ts'

/** The first words of a client. */
export interface HelloWords {
  readonly log: 'millrace-embedded-log'
  readonly pid: number
}

/** The first words of a holder: how it keeps what it is given, and the topics there are. */
export interface WelcomeWords {
  readonly pid: number
  readonly durability: Durability
  readonly topics: readonly TopicFacts[]
}

/** What a holder tells without being asked. */
export interface NewsWords {
  /** Watches of partitions that changed. */
  readonly changed?: readonly number[]
  /** A topic was made. */
  readonly made?: TopicFacts
  /** A topic was deleted. */
  readonly gone?: Topic
}

/** What a client asks: one of the questions, or one of what has bytes or a state of its own. */
export type RequestWords =
  | readonly ['ask', Question, Questions[Question]['request']]
  | readonly ['append', AppendWords]
  | readonly ['end', EndWords]
  | readonly ['fetch', FetchWords]
  | readonly ['readAt', PartitionOffset]
  | readonly ['watch', WatchWords]
  | readonly ['unwatch', number]

/** An append; its batches are the payload, one after the other. */
export interface AppendWords extends Omit<AppendRequest, 'append' | 'scope'> {
  readonly append: Omit<Append, 'batches'> & {
    /** Bytes and records of each batch. */
    readonly batches: readonly (readonly [number, number])[]
  }
}

/** The end of a transaction. */
export interface EndWords extends Omit<EndRequest, 'scope'> {
  /** It began in another session. */
  readonly isFromBefore: boolean
}

/** A fetch; with `isChecked` the holder decodes what it found before it answers, and names what is damaged. */
export interface FetchWords extends FetchRequest {
  readonly isChecked?: boolean
}

/** A partition whose changes are to be told under a number. */
export interface WatchWords extends TopicPartition {
  readonly id: number
}

/** The answer to a fetch; the batches are the payload. */
export interface FetchedWords {
  readonly lastStableOffset: Offset
  /** None at the end of what the isolation shows. */
  readonly batch?: {
    readonly nextOffset: Offset
    readonly leaderEpoch: number
    readonly sizeBytes: number
  }
}

/** The answer to `readAt`; the batch is the payload. */
export type FoundWords = { readonly topicId: string; readonly leaderEpoch: number } | null

/** An append as words and payload. */
export function appendWords({ identity, at, append }: AppendRequest): {
  readonly words: AppendWords
  readonly payload: readonly Buffer[]
} {
  const batches = append.batches.map(
    ({ sizeBytes, recordCount }) => [sizeBytes, recordCount] as const,
  )
  const words = { identity, at, append: { ...append, batches } }
  return { words, payload: append.batches.flatMap(({ parts }) => parts) }
}

/** The append that came as words and payload. Throws MILLRACE_LOG_PROTOCOL where the two do not agree. */
export function appendFrom({ append }: AppendWords, payload: Buffer): Append {
  let at = 0
  const batches = append.batches.map(([sizeBytes, recordCount]): SealedBatch => {
    const batch = payload.subarray(at, at + sizeBytes)
    at += sizeBytes
    checkBatch(batch, { append, sizeBytes, recordCount })
    return { parts: [batch], sizeBytes, recordCount }
  })
  if (at !== payload.length) throw protocolBroken('an append whose batches are not its payload')
  return { ...append, batches }
}

/** What damages a batch on its way must not come into a segment. */
function checkBatch(
  batch: Buffer,
  said: {
    readonly append: Omit<Append, 'batches'>
    readonly sizeBytes: number
    readonly recordCount: number
  },
): void {
  const header = readBatchHeader(batch, 0)
  const { producerId, producerEpoch, transactional } = said.append
  const isAsSaid =
    header.sizeBytes === said.sizeBytes &&
    header.recordCount === said.recordCount &&
    header.producerId === producerId &&
    header.producerEpoch === producerEpoch &&
    header.transactional === transactional
  if (!isAsSaid) throw protocolBroken('an append whose batch is not the one it speaks of')
  verifyBatch(batch, 0, header)
}

/** What a fetch found. Throws MILLRACE_RECORD_CORRUPT. */
export function fetchedFrom(
  { words, payload, release }: Frame,
  { topic, partition, offset }: FetchRequest,
): FetchAnswer {
  const { lastStableOffset, batch: found } = words as FetchedWords
  if (found === undefined) return { batch: undefined, lastStableOffset }
  const records = decodeBatches(payload, offset)
  const common = { topic, partition, records, lastStableOffset, ...found }
  if (records.length > 0) return { batch: { ...common, release }, lastStableOffset }
  // Who takes the batch gives it back, too: the buffer would be lent to two at a time.
  release()
  return { batch: { ...common, release: () => {} }, lastStableOffset }
}

/** The record that `readAt` found. Throws MILLRACE_RECORD_CORRUPT. */
export function foundFrom({ words, payload }: Frame, offset: Offset): FoundRecord | undefined {
  const found = words as FoundWords
  if (found === null) return undefined
  const [record] = decodeBatches(payload, offset)
  return record?.offset === offset ? { record, ...found } : undefined
}

function decodeBatches(bytes: Buffer, fromOffset: number): LogRecord[] {
  const records: LogRecord[] = []
  for (let at = 0; at < bytes.length;) {
    const header = readBatchHeader(bytes, at)
    const batchCrc = verifyBatch(bytes, at, header)
    const end = at + header.sizeBytes
    const source = { buffer: bytes, at: at + BATCH_HEADER_BYTES, end }
    decodeRecords(source, header, { into: records, fromOffset, batchCrc })
    at = end
  }
  return records
}
