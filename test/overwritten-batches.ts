/**
 * A log whose fetched batches lie in buffers of their own, which are overwritten as soon as they are
 * given back: whoever reads one after that reads nonsense, in the same run and not once in a while.
 */
import assert from 'node:assert/strict'
import { LogRecord } from '../model/record.ts'
import type { Cursor, FetchedBatch, Transport } from '../transport/transport.ts'
import { replaced } from './simulation/replaced.ts'

/** How many batches with records of a topic were taken, and given back. */
export interface BatchCounts {
  readonly topic: string
  taken: number
  released: number
}

const OVERWRITTEN = 0xde

/** The transport, with batches that are overwritten when they are given back. */
export function overwriting(transport: Transport, counts?: BatchCounts): Transport {
  return replaced(transport, {
    openReader: (options) => {
      const reader = transport.openReader(options)
      return replaced(reader, {
        open: (at) => {
          const cursor = reader.open(at)
          return overwritingCursor(cursor, counts?.topic === cursor.topic ? counts : undefined)
        },
        // Written out: a stack of disposables refuses a bound one behind a proxy.
        [Symbol.asyncDispose]: async () => await reader[Symbol.asyncDispose](),
      })
    },
  })
}

function overwritingCursor(cursor: Cursor, counts: BatchCounts | undefined): Cursor {
  return replaced(cursor, {
    take: () => {
      const batch = cursor.take()
      return batch === undefined || batch.records.length === 0
        ? batch
        : overwritingBatch(batch, counts)
    },
  })
}

function overwritingBatch(batch: FetchedBatch, counts: BatchCounts | undefined): FetchedBatch {
  const buffers: Buffer[] = []
  const own = (from: Buffer | null): Buffer => {
    const buffer = Buffer.from(from ?? '')
    buffers.push(buffer)
    return buffer
  }
  const records = batch.records.map(({ offset, timestamp, key, value, headers, valueCrc }) => {
    const [ownKey, ownValue] = [own(key), own(value)]
    const [keyEnd, valueEnd] = [key?.length ?? -1, value?.length ?? -1]
    const ownHeaders = headers.map((one) => ({ key: one.key, value: one.value && own(one.value) }))
    return new LogRecord(
      offset,
      timestamp,
      ownKey,
      0,
      keyEnd,
      ownValue,
      0,
      valueEnd,
      ownHeaders,
      valueCrc,
    )
  })
  if (counts !== undefined) counts.taken += 1
  let isReleased = false
  const release = (): void => {
    assert(!isReleased, 'a batch was given back twice')
    isReleased = true
    if (counts !== undefined) counts.released += 1
    for (const buffer of buffers) buffer.fill(OVERWRITTEN)
    batch.release()
  }
  return replaced(batch, { records, release })
}
