/** millrace's own producer and reader at the work that the peers do. */
import { setImmediate } from 'node:timers/promises'
import { asOffset, asPartition, asTopic } from '../../../model/position.ts'
import { NO_HEADERS } from '../../../model/record.ts'
import type { Transport } from '../../../transport/transport.ts'
import type { Load } from './load.ts'

/** What was moved. */
export interface Moved {
  readonly records: number
  readonly bytes: number
}

/** Sends all values. Sockets get their turn after each batch; while one half of the buffer is acknowledged the other is filled. */
export async function produceAll(log: Transport, load: Load): Promise<Moved> {
  await using producer = log.openProducer({})
  await producer.init()
  const at = { topic: asTopic(load.topic), partition: asPartition(0), key: null }
  const value = madeUp(load.valueBytes)
  const inBatch = Math.max(1, Math.floor(load.batchBytes / load.valueBytes))
  let flushed: Promise<unknown> = Promise.resolve()
  let unasked = 0
  for (let sent = 0; sent < load.records; sent += inBatch) {
    const upTo = Math.min(load.records, sent + inBatch)
    for (let i = sent; i < upTo; i += 1) {
      producer.send({ ...at, value, timestamp: Date.now(), headers: NO_HEADERS })
    }
    unasked += inBatch * value.length
    await setImmediate()
    if (unasked < load.bufferBytes / 2) continue
    await flushed
    flushed = producer.flush()
    // Rejects where it is awaited.
    flushed.catch(() => {})
    unasked = 0
  }
  await flushed
  await producer.flush()
  return { records: load.records, bytes: load.records * value.length }
}

/** Reads all records from the first one on, read_committed, and looks at each. */
export async function fetchAll(log: Transport, load: Load): Promise<Moved> {
  const { bufferBytes: prefetchBytes, topic } = load
  await using reader = log.openReader({ isolation: 'read_committed', prefetchBytes })
  const at = { topic: asTopic(topic), partition: asPartition(0), offset: asOffset(0) }
  const cursor = reader.open(at)
  let [records, bytes] = [0, 0]
  while (records < load.records) {
    const batch = cursor.take()
    if (batch === undefined) {
      await reader.ready()
      continue
    }
    for (const { value } of batch.records) bytes += value?.length ?? 0
    records += batch.records.length
    batch.release()
    await setImmediate()
  }
  return { records, bytes }
}

function madeUp(bytes: number): Buffer {
  const value = Buffer.allocUnsafeSlow(bytes)
  for (let i = 0; i < bytes; i += 1) value[i] = (i * 31) % 251
  return value
}
