/**
 * Writes chunks in transactions. Each carries its chunks and the video's row together: the row says
 * what is in the log, never more and never less, and an ingest that died anywhere goes on from it.
 *
 * Chunks leave in groups, and one group leaves while the one before it is not acknowledged and the one
 * after it is read: disk, hashes and log work at the same time, and no more than three groups are in
 * memory. A commit stops that for a moment, so a transaction takes many groups. It ends at a number of
 * bytes or after a time, whichever comes first, also when nothing new was read by then: so readers
 * see chunks soon, and a slow disk never lets a transaction time out. The file is looked at again
 * before each commit.
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

/** Bytes of chunks in one transaction, at least one chunk. */
export const TRANSACTION_BYTES = 128 * 2 ** 20
/** How long a transaction takes more chunks. */
export const TRANSACTION_MS = 500
/** A group has the part of a transaction's bytes that this says, at least one chunk. */
export const GROUPS_PER_TRANSACTION = 8
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
  /** Default: TRANSACTION_MS. */
  readonly transactionMs?: number | undefined
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
  const { transactionBytes = TRANSACTION_BYTES, signal } = options
  const writer = new TransactionWriter(row, { ...options, transactionBytes })
  const groups = readAhead(inGroups(records, transactionBytes / GROUPS_PER_TRANSACTION))
  try {
    for (;;) {
      const next = groups.next()
      if (!(await writer.hasTimeFor(next))) await writer.commit()
      const result = await next
      if (result.done === true) break
      signal?.throwIfAborted()
      await writer.write(result.value)
    }
    await writer.commit()
    return writer.row
  } finally {
    await groups.return(undefined)
  }
}

/** Chunks that are sent one after another, and then waited for together. */
interface Group {
  readonly records: readonly ChunkRecord[]
  readonly bytes: number
}

async function* inGroups(
  source: AsyncGenerator<ChunkRecord>,
  limitBytes: number,
): AsyncGenerator<Group> {
  let records: ChunkRecord[] = []
  let bytes = 0
  for await (const record of source) {
    if (records.length > 0 && bytes + record.value.length > limitBytes) {
      yield { records, bytes }
      records = []
      bytes = 0
    }
    records.push(record)
    bytes += record.value.length
  }
  if (records.length > 0) yield { records, bytes }
}

/** A transaction that takes chunks. */
interface OpenTransaction {
  readonly dueMs: number
  bytes: number
}

class TransactionWriter {
  readonly #options: IngestWriterOptions & { readonly transactionBytes: number }
  #row: VideoState
  #open: OpenTransaction | undefined
  /** Until the last group that was sent is acknowledged. */
  #acknowledging: Promise<void> = Promise.resolve()

  constructor(
    row: VideoState,
    options: IngestWriterOptions & { readonly transactionBytes: number },
  ) {
    this.#row = row
    this.#options = options
  }

  /** The row after all that was written; it is in the log after a commit. */
  get row(): VideoState {
    return this.#row
  }

  /** Resolves when `next` is settled, or to false when the open transaction has to be committed before. */
  async hasTimeFor(next: Promise<unknown>): Promise<boolean> {
    const settled = next.then(
      () => true,
      () => true,
    )
    if (this.#open === undefined) return await settled
    const { clock } = this.#options
    const leftMs = this.#open.dueMs - clock.monotonic()
    if (leftMs <= 0) return false
    const due = Promise.withResolvers<boolean>()
    const timer = clock.timer(leftMs, () => due.resolve(false))
    try {
      return await Promise.race([settled, due.promise])
    } finally {
      timer.cancel()
    }
  }

  /** Sends a group. Resolves when the one before it is acknowledged. */
  async write({ records, bytes }: Group): Promise<void> {
    const { transactionBytes, transactionMs = TRANSACTION_MS, clock, producer, raw } = this.#options
    if (this.#open !== undefined && this.#open.bytes + bytes > transactionBytes) await this.commit()
    this.#open ??= { dueMs: clock.monotonic() + transactionMs, bytes: 0 }
    this.#open.bytes += bytes
    for (const { key, value, valueCrc, timestamp, progress } of records) {
      producer.send({ ...raw, key, value, valueCrc, timestamp, headers: NO_HEADERS })
      const { whole, ...rest } = progress
      this.#row = { ...this.#row, ...rest, ...(whole && { ...whole, status: 'complete' }) }
    }
    await this.#acknowledging
    this.#acknowledging = this.#acknowledge(records)
    // It is awaited before the next one, or before the commit: until then nobody has to listen for it.
    this.#acknowledging.catch(() => undefined)
  }

  /** Puts the row behind the chunks and makes both visible. */
  async commit(): Promise<void> {
    if (this.#open === undefined) return
    const { producer, videos, rows, assertUnchanged, onCommitted } = this.#options
    const row = this.#row
    producer.send({
      ...videos,
      key: Buffer.from(row.videoId),
      value: rows.serialize(row),
      timestamp: row.lastTimestamp,
      headers: NO_HEADERS,
    })
    await this.#acknowledging
    await producer.flush()
    await assertUnchanged()
    await commitUntilKnown(this.#options)
    this.#open = undefined
    onCommitted(row)
  }

  async #acknowledge(records: readonly ChunkRecord[]): Promise<void> {
    const { producer, room } = this.#options
    await producer.flush()
    for (const { value } of records) room.giveBack(value)
  }
}

/** Asks again while the outcome is unknown; what is still unknown then is found out by the next init. */
async function commitUntilKnown({ producer, clock, signal }: IngestWriterOptions): Promise<void> {
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
