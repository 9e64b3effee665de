/**
 * The process that test/transport/embedded-cleaning-kill.test.ts kills: it writes transactions into
 * topics that are compacted, kept by size and deleted from meanwhile, and says what was acknowledged.
 */
import { writeSync } from 'node:fs'
import { asOffset } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { openEmbeddedLog } from '../../transport/embedded/open.ts'
import { GROUP, HISTORY, RESTLESS, TABLE, TOPICS, writesOf } from './cleaning-writer-shape.ts'

const [folder = '', seedText = '1'] = process.argv.slice(2)
const seed = Number(seedText)
const clock = systemClock()
say('opening')
const log = await openEmbeddedLog({ folder, clock, ...RESTLESS })
const known = await log.admin.describeTopics()
for (const topic of TOPICS) {
  if (!known.some((one) => one.topic === topic.topic)) await log.admin.createTopics([topic])
}
const producer = log.openProducer({ transactionalId: 'writer' })
await producer.init()
const [committed] = await log.admin.committedOffsets(GROUP, [TABLE])
for (let number = (committed?.offset ?? 0) + 1; ; number += 1) {
  if (clock.random() < 0.2) {
    for (const [key] of writesOf(seed, number)) send(key, 'aborted')
    if (clock.random() < 0.5) await producer.flush()
    await producer.abort()
  }
  for (const [key, value] of writesOf(seed, number)) {
    send(key, value)
    if (clock.random() < 0.2) await producer.flush()
  }
  producer.send({ ...HISTORY, key: null, value: Buffer.from(`${number}`), ...now() })
  const offset = { ...TABLE, offset: asOffset(number), metadata: '' }
  await producer.sendOffsets([offset], { groupId: GROUP, generation: -1, memberId: '' })
  await producer.commit()
  say(`committed ${number}`)
  if (clock.random() < 0.1) await deleteSome()
}

async function deleteSome(): Promise<void> {
  const [start = 0] = await log.admin.offsets([HISTORY], 'earliest', 'read_committed')
  const [end = 0] = await log.admin.offsets([HISTORY], 'latest', 'read_committed')
  const offset = asOffset(start + Math.floor(clock.random() * (end - start + 1)))
  await log.admin.deleteRecords([{ ...HISTORY, offset }])
  say(`deleted ${offset}`)
}

function send(key: string, value: string | null): void {
  const bytes = value === null ? null : Buffer.from(value)
  producer.send({ ...TABLE, key: Buffer.from(key), value: bytes, ...now() })
}

function now() {
  return { timestamp: clock.now(), headers: NO_HEADERS }
}

/** Synchronously, so that it is out before the next thing begins. */
function say(line: string): void {
  writeSync(1, `${line}\n`)
}
