/**
 * The process that test/transport/embedded-kill.test.ts kills: it writes transactions and plain
 * records into an embedded log for ever, and says on standard output what was acknowledged. A line
 * is written synchronously, so that it is out before the next thing begins.
 */
import { writeSync } from 'node:fs'
import { asOffset, asPartition, asTopic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { openEmbeddedLog } from '../../transport/embedded/open.ts'
import { GROUP, INPUT, PARTITIONS, randomFrom, TOPIC } from './embedded-writer-shape.ts'

const [folder = '', seed = '1'] = process.argv.slice(2)
const random = randomFrom(Number(seed))
say('opening')
const log = await openEmbeddedLog({
  folder,
  clock: systemClock(),
  segmentBytes: 400_000,
  batchBytes: 20_000,
})
const topics = await log.admin.describeTopics([TOPIC])
if (topics.length === 0) await log.admin.createTopics([{ topic: TOPIC, partitions: PARTITIONS }])
const producer = log.openProducer({ transactionalId: 'writer' })
const plain = log.openProducer({})
await producer.init()
await plain.init()
const [committed] = await log.admin.committedOffsets(GROUP, [INPUT])
let transaction = committed?.offset ?? 0
for (;;) {
  transaction += 1
  const isAborted = random() < 0.2
  const count = 1 + Math.floor(random() * 8)
  for (let index = 0; index < count; index += 1) {
    send(producer, isAborted ? 'aborted' : `${transaction} ${index} ${count}`)
    if (random() < 0.3) await producer.flush()
    if (random() < 0.2) {
      send(plain, 'plain')
      await plain.flush()
      say('plain')
    }
  }
  const offset = { ...INPUT, offset: asOffset(transaction), metadata: String(count) }
  await producer.sendOffsets([offset], { groupId: GROUP, generation: -1, memberId: '' })
  if (isAborted) {
    transaction -= 1
    await producer.abort()
  } else {
    await producer.commit()
    say(`committed ${transaction} ${count}`)
  }
}

function send(by: typeof producer, text: string): void {
  const padding = Math.floor(random() ** 4 * 150_000)
  by.send({
    topic: asTopic(TOPIC),
    partition: asPartition(Math.floor(random() * PARTITIONS)),
    key: Buffer.from(text),
    value: Buffer.alloc(padding, text),
    timestamp: 1_700_000_000_000,
    headers: NO_HEADERS,
  })
}

function say(line: string): void {
  writeSync(1, `${line}\n`)
}
