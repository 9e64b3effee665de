/**
 * Writes chunks in transactions of a bounded number of bytes. Each carries its chunks and the video's
 * row together: the row says what is in the log, never more and never less, and an ingest that died
 * anywhere goes on from it. While one transaction is written and committed the chunks of the next are
 * read; a transaction is open only while it is written, so that a slow disk never lets one time out.
 * The file is looked at again before each commit.
 */
import { sleep, type Clock } from '../model/clock.ts'
import { NO_HEADERS } from '../model/record.ts'
import type { TopicPartition } from '../model/position.ts'
import type { LentBuffers } from '../serdes/lent-buffers.ts'
import type { OpenSerde } from '../serdes/serde.ts'
import { TransportError } from '../transport/errors.ts'
import type { Producer } from '../transport/transport.ts'
import type { ChunkRecord } from './chunk-records.ts'
import { readAhead } from './read-ahead.ts'
import type { VideoState } from './schemas.ts'

/** Bytes of chunks in one transaction, at least one chunk. As many are read ahead. */
export const TRANSACTION_BYTES = 24 * 2 ** 20
/** How often a commit is asked for whose outcome is unknown. */
export const COMMIT_ATTEMPTS = 10
/** The wait before the second attempt; it doubles with each further one. */
export const COMMIT_RETRY_MS = 50

/** Where records go and what surrounds them. */
export interface IngestWriterOptions {
  readonly producer: Producer
  /** The buffers of the records' values come from here, and go back when the log has them. */
  readonly room: LentBuffers
  readonly clock: Clock
  readonly raw: TopicPartition
  readonly videos: TopicPartition
  readonly rows: OpenSerde<VideoState>
  /** Default: TRANSACTION_BYTES. */
  readonly transactionBytes?: number | undefined
  /** Rejects where the file is not what it was. */
  readonly assertUnchanged: () => Promise<void>
  /** Told after each commit. */
  readonly onCommitted: (row: VideoState) => void
  readonly signal?: AbortSignal | undefined
}

/** Writes all records behind `row` and gives the row after the last one. */
export async function writeChunks(
  records: AsyncGenerator<ChunkRecord>,
  row: VideoState,
  options: IngestWriterOptions,
): Promise<VideoState> {
  let committed = row
  for await (const batch of readAhead(inBatches(records, options.transactionBytes))) {
    options.signal?.throwIfAborted()
    committed = await writeBatch(batch, committed, options)
    options.onCommitted(committed)
  }
  return committed
}

async function* inBatches(
  records: AsyncGenerator<ChunkRecord>,
  limitBytes = TRANSACTION_BYTES,
): AsyncGenerator<readonly ChunkRecord[]> {
  let batch: ChunkRecord[] = []
  let bytes = 0
  for await (const record of records) {
    if (batch.length > 0 && bytes + record.value.length > limitBytes) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(record)
    bytes += record.value.length
  }
  if (batch.length > 0) yield batch
}

async function writeBatch(
  batch: readonly ChunkRecord[],
  row: VideoState,
  { producer, room, raw, videos, rows, assertUnchanged, clock, signal }: IngestWriterOptions,
): Promise<VideoState> {
  let after = row
  let timestamp = row.lastTimestamp
  for (const record of batch) {
    ;({ timestamp } = record)
    producer.send({
      ...raw,
      key: record.key,
      value: record.value,
      timestamp,
      headers: NO_HEADERS,
    })
    const { whole, ...progress } = record.progress
    after = { ...after, ...progress, ...(whole && { ...whole, status: 'complete' }) }
  }
  producer.send({
    ...videos,
    key: Buffer.from(after.videoId),
    value: rows.serialize(after),
    timestamp,
    headers: NO_HEADERS,
  })
  await producer.flush()
  for (const { value } of batch) room.giveBack(value)
  await assertUnchanged()
  await commitUntilKnown(producer, clock, signal)
  return after
}

/** Asks again while the outcome is unknown; what is still unknown then is found out by the next init. */
async function commitUntilKnown(
  producer: Producer,
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await producer.commit()
      return
    } catch (error) {
      const unknown = error instanceof TransportError && error.kind === 'retriable'
      if (!unknown || attempt === COMMIT_ATTEMPTS) throw error
      await sleep(clock, COMMIT_RETRY_MS * 2 ** (attempt - 1), signal)
    }
  }
}
