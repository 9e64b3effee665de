/** What a reader meets on a real broker only: a log that its cleaner has been through. */
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { sleep } from '../../model/clock.ts'
import { asOffset, asPartition, asTopic, type Topic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { openKafka } from '../../transport/kafka/open.ts'
import type { Transport } from '../../transport/transport.ts'

const clock = systemClock()
const PARTITION = asPartition(0)
const MIB = 1024 * 1024
const CLEANED_MS = 120_000
let log: Transport

beforeAll(async () => {
  log = await openKafka({ brokers: inject('kafkaBrokers'), clock })
})
afterAll(() => log?.[Symbol.asyncDispose]())

/** Sends each record in a batch of its own, by a producer of its own. */
async function sendAlone(topic: Topic, entries: readonly (readonly [string, Buffer])[]) {
  for (const [key, value] of entries) {
    await using producer = log.openProducer({})
    await producer.init()
    const rest = { timestamp: clock.now(), headers: NO_HEADERS }
    producer.send({ topic, partition: PARTITION, key: Buffer.from(key), value, ...rest })
    await producer.flush()
    // Each append comes after the segment's time, and begins a new one.
    await sleep(clock, 20)
  }
}

test(
  'batches that the cleaner left empty are passed, also before one that is over every limit',
  async () => {
    const topic = asTopic(`cleaned-${clock.uuid()}`)
    const config = {
      'cleanup.policy': 'compact',
      'min.cleanable.dirty.ratio': '0.01',
      'segment.ms': '10',
      'max.message.bytes': String(8 * MIB),
    }
    await log.admin.createTopics([{ topic, partitions: 1, config }])
    const small = Array.from(
      { length: 5 },
      (_, index) => ['same', Buffer.from(`${index}`)] as const,
    )
    await sendAlone(topic, [
      ...small,
      ['large', Buffer.alloc(4 * MIB, 1)],
      ['last', Buffer.from('z')],
    ])
    await using reader = log.openReader({ isolation: 'read_committed', prefetchBytes: 1_000 })
    const signal = AbortSignal.timeout(CLEANED_MS)
    const at = { topic, partition: PARTITION }
    while ((await reader.readAt({ ...at, offset: asOffset(3) }, signal)) !== undefined) {
      await sleep(clock, 500, signal)
    }
    const cursor = reader.open({ ...at, offset: asOffset(0) })
    const read: string[] = []
    while (cursor.position < 7) {
      const batch = cursor.take()
      if (batch === undefined) await reader.ready(signal)
      for (const { offset, value } of batch?.records ?? []) read.push(`${offset}:${value?.length}`)
      batch?.release()
    }
    expect(read).toEqual(['4:1', `5:${4 * MIB}`, '6:1'])
  },
  2 * CLEANED_MS,
)
