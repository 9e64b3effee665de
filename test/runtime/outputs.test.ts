import { describe, expect, test } from 'vitest'
import { systemClock } from '../../runtime/system-clock.ts'
import { asPartition, asTopic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { Outputs } from '../../runtime/outputs.ts'
import { memoryLog } from '../../transport/memory/memory-log.ts'
import type { ProducerRecord } from '../../transport/transport.ts'

const SIZE = 100_000

function record(value: Buffer): ProducerRecord {
  const at = { topic: asTopic('out'), partition: asPartition(0) }
  return { ...at, key: null, value, timestamp: 0, headers: NO_HEADERS }
}

async function opened() {
  return (await openedWithProducer()).outputs
}

async function openedWithProducer() {
  const log = memoryLog({ clock: systemClock() })
  await log.admin.createTopics([{ topic: asTopic('out'), partitions: 1 }])
  const producer = log.openProducer({})
  await producer.init()
  return { producer, outputs: new Outputs(producer, { maxHeldBytes: SIZE }) }
}

describe("the buffers of a unit's outputs", () => {
  test('are used again when the commit that they belong to is resolved, and not before', async () => {
    const outputs = await opened()
    const first = outputs.room.take(SIZE)
    outputs.emit(record(first.subarray(0, SIZE)))
    outputs.hold()
    const next = outputs.room.take(SIZE)
    outputs.emit(record(next.subarray(0, SIZE)))
    expect([first.buffer, next.buffer]).not.toContain(outputs.room.take(SIZE).buffer)
    outputs.release()
    expect(outputs.room.take(SIZE).buffer).toBe(first.buffer)
    expect(outputs.room.take(SIZE).buffer).not.toBe(next.buffer)
  })

  test('are left alone after an abort: a producer may still be at them', async () => {
    const outputs = await opened()
    const first = outputs.room.take(SIZE)
    outputs.emit(record(first.subarray(0, SIZE)))
    outputs.hold()
    outputs.drop()
    outputs.release()
    expect(outputs.room.take(SIZE).buffer).not.toBe(first.buffer)
  })

  test('count for the next commit, though their records are acknowledged: a long interval must not gather them', async () => {
    const { outputs, producer } = await openedWithProducer()
    for (let round = 0; round < 3; round += 1) {
      outputs.emit(record(outputs.room.take(SIZE).subarray(0, SIZE)))
    }
    await producer.flush()
    expect(producer.bufferedBytes).toBe(0)
    expect(outputs.bufferedBytes).toBe(3 * SIZE)
    outputs.hold()
    expect(outputs.bufferedBytes).toBe(0)
  })
})
