/**
 * The least of a log that a restore needs, with what it must survive at will: batches that only hold
 * markers, batches that arrive late, a start that moves. The runtime's tests restore from real logs.
 */
import { LogRecord, NO_HEADERS } from '../../model/record.ts'
import {
  asOffset,
  asPartition,
  asTopic,
  type PartitionOffset,
  type TopicPartition,
} from '../../model/position.ts'
import { TransportError } from '../../transport/errors.ts'
import type { Cursor, FetchedBatch, Reader } from '../../transport/transport.ts'

export interface TestRecord {
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly timestamp: number
}

/** A record, or a gap of one offset: a control record. */
export type Slot = TestRecord | 'marker'

export class TestLog implements Reader {
  readonly at: TopicPartition = { topic: asTopic('app-s-changelog'), partition: asPartition(0) }
  readonly bufferedBytes = 0
  slots: Slot[] = []
  earliest = 0
  batchSize = 3
  /** Every second `take` finds nothing yet. */
  isLate = false
  openCursors = 0
  released = 0
  /** Runs before each take. */
  beforeTake: () => void = () => undefined

  open(at: PartitionOffset): Cursor {
    this.openCursors++
    let position: number = at.offset
    let takes = 0
    let closed = false
    return {
      ...this.at,
      topicId: 'id',
      get position() {
        return asOffset(position)
      },
      lastStableOffset: undefined,
      take: () => {
        this.beforeTake()
        if (position < this.earliest || position > this.slots.length) {
          throw new TransportError('MILLRACE_OFFSET_OUT_OF_RANGE', 'fatal', {
            message: `${position} is out of range`,
          })
        }
        if (position === this.slots.length || (this.isLate && takes++ % 2 === 0)) return undefined
        const batch = this.#batch(position)
        position = batch.nextOffset
        return batch
      },
      close: () => {
        if (!closed) this.openCursors--
        closed = true
      },
    }
  }

  ready(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    return new Promise((resolve) => setImmediate(resolve))
  }

  readAt(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }

  #batch(from: number): FetchedBatch {
    const slots = this.slots.slice(from, from + this.batchSize)
    const records = slots.flatMap((slot, n) => (slot === 'marker' ? [] : [record(from + n, slot)]))
    return {
      ...this.at,
      records,
      nextOffset: asOffset(from + slots.length),
      lastStableOffset: asOffset(this.slots.length),
      leaderEpoch: 4,
      sizeBytes: 1,
      release: () => {
        this.released++
        // The pool uses the buffers again at once: nobody may still look at them.
        for (const { keyBuffer } of records) keyBuffer.fill(0xee)
      },
    }
  }
}

function record(offset: number, { key, value, timestamp }: TestRecord): LogRecord {
  const buffer = Buffer.concat([
    Buffer.from('??'),
    key ?? Buffer.alloc(0),
    value ?? Buffer.alloc(0),
  ])
  const keyEnd = 2 + (key?.length ?? 0)
  return new LogRecord(
    offset,
    timestamp,
    buffer,
    2,
    key === null ? -1 : keyEnd,
    buffer,
    keyEnd,
    value === null ? -1 : buffer.length,
    NO_HEADERS,
  )
}
