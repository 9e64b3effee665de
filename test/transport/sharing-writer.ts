/**
 * One of the processes that test/transport/sharing-kill.test.ts runs over one log: it writes
 * transactions and plain records and reads all partitions until it is told to stop or killed, and says
 * on standard output what was acknowledged. A line is written synchronously, so that it is out
 * before the next thing begins.
 */
import { createHash } from 'node:crypto'
import { writeSync } from 'node:fs'
import { isMillraceError } from '../../model/errors.ts'
import { asOffset, asPartition } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { openEmbeddedLog } from '../../transport/embedded/open.ts'
import { TransportError } from '../../transport/errors.ts'
import type { FetchedBatch, Producer, Transport } from '../../transport/transport.ts'
import { PARTITIONS, randomFrom, TOPIC } from './embedded-writer-shape.ts'

const [folder = '', name = '', seed = '1'] = process.argv.slice(2)
const random = randomFrom(Number(seed))
const stopping = new AbortController()
process.once('SIGTERM', () => stopping.abort())
say('opening')
const clock = systemClock()
const log = await openEmbeddedLog({ folder, clock, share: true, segmentBytes: 400_000 })
await makeTopic()
say('open')
const reading = read(log)
await Promise.all([writeTransactions(log), writePlain(log)])
await reading
await log[Symbol.asyncDispose]()
say('stopped')

async function makeTopic(): Promise<void> {
  try {
    await log.admin.createTopics([{ topic: TOPIC, partitions: PARTITIONS }])
  } catch (error) {
    if (!isMillraceError(error, 'MILLRACE_TOPIC_EXISTS')) throw error
  }
}

async function writeTransactions(by: Transport): Promise<void> {
  const producer = by.openProducer({ transactionalId: `writer-${name}` })
  await producer.init()
  const place = { topic: TOPIC, partition: asPartition(0) }
  const [committed] = await by.admin.committedOffsets(`group-${name}`, [place])
  let transaction = (committed?.offset ?? 0) + 1
  while (!stopping.signal.aborted) {
    const count = 1 + Math.floor(random() * 6)
    try {
      for (let index = 0; index < count; index += 1) {
        send(producer, `${name} ${transaction} ${index} ${count}`)
        if (random() < 0.3) await producer.flush()
      }
      const offset = { ...place, offset: asOffset(transaction), metadata: String(count) }
      const group = { groupId: `group-${name}`, generation: -1, memberId: '' }
      await producer.sendOffsets([offset], group)
      if (random() < 0.1) {
        await abort(producer)
        continue
      }
      await commit(producer)
      say(`committed ${transaction} ${count}`)
      transaction += 1
    } catch (error) {
      if (!(error instanceof TransportError && error.kind === 'abortable')) throw error
      say(`undone ${error.code}`)
      await abort(producer)
    }
  }
}

/** Where nobody knows whether the producer got its new epoch from a holder that was killed, it takes another: that undoes the same. */
async function abort(producer: Producer): Promise<void> {
  try {
    await producer.abort()
  } catch (error) {
    if (!(error instanceof TransportError && error.kind === 'retriable')) throw error
    await producer.init()
  }
}

async function commit(producer: Producer): Promise<void> {
  for (;;) {
    try {
      await producer.commit()
      return
    } catch (error) {
      if (!(error instanceof TransportError && error.kind === 'retriable')) throw error
    }
  }
}

/** Two records are on their way at a time: their order, and that none comes twice, is the log's business. */
async function writePlain(by: Transport): Promise<void> {
  const producer = by.openProducer({})
  await producer.init()
  for (let number = 0; !stopping.signal.aborted; number += 2) {
    send(producer, `plain ${process.pid} ${number}`, 0)
    await clock.yield()
    send(producer, `plain ${process.pid} ${number + 1}`, 0)
    await producer.flush()
    say(`plain ${process.pid} ${number + 2}`)
  }
}

/** Reads until it was told to stop, with readers that know nothing of takeovers; says what it read. */
async function read(from: Transport): Promise<void> {
  await using reader = from.openReader({ isolation: 'read_committed', prefetchBytes: 1_000_000 })
  const parts = Array.from({ length: PARTITIONS }, (_, partition) => ({
    cursor: reader.open({
      topic: TOPIC,
      partition: asPartition(partition),
      offset: asOffset(0),
    }),
    digest: createHash('sha256'),
    position: 0,
  }))
  while (!stopping.signal.aborted) {
    await reader.ready(stopping.signal).catch(() => undefined)
    for (const part of parts) {
      for (let batch = part.cursor.take(); batch !== undefined; batch = part.cursor.take()) {
        part.digest.update(digested(batch, part.position))
        part.position = batch.nextOffset
        batch.release()
      }
    }
  }
  for (const [partition, { position, digest }] of parts.entries()) {
    say(`read ${partition} ${position} ${digest.digest('hex')}`)
  }
}

/** The records of a batch as text; throws where one comes again. */
function digested({ records }: FetchedBatch, position: number): string {
  return records
    .map(({ offset, key }) => {
      if (offset < position) throw new Error(`offset ${offset} came again`)
      return `${offset} ${key?.toString()}\n`
    })
    .join('')
}

function send(by: Producer, text: string, partition = Math.floor(random() * PARTITIONS)): void {
  const padding = Math.floor(random() ** 6 * 300_000)
  by.send({
    topic: TOPIC,
    partition: asPartition(partition),
    key: Buffer.from(text),
    value: Buffer.alloc(padding, text),
    timestamp: clock.now(),
    headers: NO_HEADERS,
  })
}

function say(line: string): void {
  writeSync(1, `${line}\n`)
}
