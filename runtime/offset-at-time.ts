/**
 * Where a partition reaches a time: the first offset whose record has that timestamp or a later one,
 * as Kafka's offsetsForTimes says it; the end where there is none. Timestamps need not ascend, so a
 * search by halves would miss it: the records are read from the start, within the reader's bound.
 */
import { asOffset, type Offset, type TopicPartition } from '../model/position.ts'
import type { Transport } from '../transport/transport.ts'

/** Bytes fetched ahead. */
const PREFETCH_BYTES = 8 * 1024 * 1024

/** The first committed record of `timestampMs` or later; the last stable offset where there is none. */
export async function offsetAtTime(
  transport: Transport,
  query: {
    readonly at: TopicPartition
    readonly timestampMs: number
    readonly signal: AbortSignal | undefined
  },
): Promise<Offset> {
  const { at, timestampMs, signal } = query
  const [start] = await transport.admin.offsets([at], 'earliest', 'read_committed')
  const [end] = await transport.admin.offsets([at], 'latest', 'read_committed')
  if (start === undefined || end === undefined) throw new TypeError('the log gave no offsets')
  await using reader = transport.openReader({
    isolation: 'read_committed',
    prefetchBytes: PREFETCH_BYTES,
  })
  const cursor = reader.open({ ...at, offset: start })
  while (cursor.position < end) {
    const batch = cursor.take()
    if (batch === undefined) {
      await reader.ready(signal)
      continue
    }
    const found = batch.records.find(({ timestamp }) => timestamp >= timestampMs)?.offset
    batch.release()
    if (found !== undefined) return asOffset(Math.min(found, end))
  }
  return end
}
