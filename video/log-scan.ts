/**
 * Reads a partition from a place to where it ends now. The end is that of all records, not the last
 * stable one: what a transaction of another ingest holds back may be the very row that is looked for,
 * and to go on without it would write a video twice. So this waits until that transaction is over;
 * the log ends transactions that take too long.
 */
import type { Clock } from '../model/clock.ts'
import { asOffset, describePartition, type TopicPartition } from '../model/position.ts'
import type { LogRecord } from '../model/record.ts'
import type { Transport } from '../transport/transport.ts'
import { withDeadline } from './deadline.ts'
import { VideoError } from './video-error.ts'

/** What is read, and how long at most it may wait for transactions of others. */
export interface LogScan extends TopicPartition {
  readonly transport: Transport
  readonly clock: Clock
  /** Where to begin; the log's start where that is later. Default: 0. */
  readonly from?: number
  readonly signal?: AbortSignal | undefined
}

/** Twice Kafka's and our default transaction timeout: who waits longer waits for something else. */
export const SCAN_DEADLINE_MS = 120_000
/** Bytes fetched ahead of a scan. */
export const SCAN_PREFETCH_BYTES = 16 * 2 ** 20

/** The committed records of the partition, in order. Rejects with MILLRACE_LOG_SCAN_STALLED after SCAN_DEADLINE_MS without a batch. */
export async function* scanLog(scan: LogScan): AsyncGenerator<LogRecord> {
  const { transport, topic, partition } = scan
  const at = [{ topic, partition }]
  const [end = asOffset(0)] = await transport.admin.offsets(at, 'latest', 'read_uncommitted')
  const [start = asOffset(0)] = await transport.admin.offsets(at, 'earliest', 'read_uncommitted')
  const from = Math.max(start, scan.from ?? 0)
  if (from >= end) return
  await using reader = transport.openReader({
    isolation: 'read_committed',
    prefetchBytes: SCAN_PREFETCH_BYTES,
  })
  const cursor = reader.open({ topic, partition, offset: asOffset(from) })
  while (cursor.position < end) {
    const batch = cursor.take()
    if (batch === undefined) {
      await withDeadline(stalling(scan), (signal) => reader.ready(signal))
      continue
    }
    yield* batch.records
  }
}

function stalling(scan: LogScan): Parameters<typeof withDeadline>[0] {
  const { clock, signal } = scan
  const error = (): VideoError =>
    new VideoError(
      'MILLRACE_LOG_SCAN_STALLED',
      `${describePartition(scan)} gave nothing for ${SCAN_DEADLINE_MS / 1000} s while it was read to its end: another writer keeps a transaction open, or the log does not answer. Check both, then start again.`,
      { place: describePartition(scan), remedy: 'retry' },
    )
  return { clock, deadlineMs: SCAN_DEADLINE_MS, error, signal }
}
