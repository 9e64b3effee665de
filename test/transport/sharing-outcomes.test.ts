import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { asOffset } from '../../model/position.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import type { LogBroker, TransactionScope } from '../../transport/embedded/broker.ts'
import type { EmbeddedLog } from '../../transport/embedded/embedded-log.ts'
import { EmbeddedTransport } from '../../transport/embedded/embedded-transport.ts'
import { EMBEDDED_LOG_LIMITS } from '../../transport/embedded/limits.ts'
import { LocalBroker } from '../../transport/embedded/local-broker.ts'
import { prepareFolder } from '../../transport/embedded/log-folder.ts'
import { holdLog } from '../../transport/embedded/open-log.ts'
import { transactionLost } from '../../transport/log-errors.ts'
import { PLACE, put, received, TOPIC } from './sharing-world.ts'

const root = await mkdtemp(join(tmpdir(), 'millrace-outcomes-'))
afterAll(() => rm(root, { recursive: true, force: true }))
const clock = systemClock()
const GROUP = { groupId: 'group', generation: -1, memberId: '' }

async function hold(name: string): Promise<EmbeddedLog> {
  const folder = join(root, name)
  const log = await holdLog({ folder, clock }, await prepareFolder(folder))
  if (log === undefined) throw new Error('the log is held by another test')
  return log
}

it('a commit that is asked for again is answered as it came out, by the same holder and by the next', async () => {
  const scope: TransactionScope = { transactionalId: 'one', session: undefined }
  const commit = (transaction: number) => ({ outcome: 'commit', transaction, scope }) as const
  let first = await hold('commits')
  const session = new LocalBroker(first)
  const init = { transactionalId: 'one', timeoutMs: 10_000 }
  const identity = await session.ask('initProducer', init)
  const offsets = [{ ...PLACE, offset: asOffset(7), metadata: '' }]
  await session.ask('addOffsets', { identity, offsets, group: GROUP })
  scope.session = session
  await session.end({ identity, ...commit(0) })
  const another = new LocalBroker(first)
  await another.end({ identity, ...commit(0) })
  const lost = { code: 'MILLRACE_TRANSACTION_LOST', kind: 'abortable' }
  await expect(another.end({ identity, ...commit(1) })).rejects.toMatchObject(lost)
  await another.end({ identity, outcome: 'abort', transaction: 1, scope })
  await session.ask('addOffsets', { identity, offsets, group: GROUP })
  await first[Symbol.asyncDispose]()
  first = await hold('commits')
  const next = new LocalBroker(first)
  await next.end({ identity, ...commit(0) })
  await expect(next.end({ identity, ...commit(2) })).rejects.toMatchObject(lost)
  await first[Symbol.asyncDispose]()
})

it('a topic that is made or deleted for a second time by the same question is no error', async () => {
  await using log = await hold('topics')
  const broker = new LocalBroker(log)
  const make = { topic: TOPIC, partitions: 1, topicId: 'its-id' }
  await broker.ask('createTopic', make)
  await broker.ask('createTopic', make)
  await expect(broker.ask('createTopic', { ...make, topicId: 'another' })).rejects.toMatchObject({
    code: 'MILLRACE_TOPIC_EXISTS',
  })
  const remove = { topic: TOPIC, topicId: 'its-id' }
  await broker.ask('deleteTopic', remove)
  await broker.ask('createTopic', { ...make, topicId: 'its-successor' })
  await broker.ask('deleteTopic', remove)
  expect(broker.topic(TOPIC)?.topicId).toBe('its-successor')
})

it('records after an append whose answer was lost are not taken for it', async () => {
  await using log = await hold('appends')
  const broker = new LocalBroker(log)
  const limits = EMBEDDED_LOG_LIMITS
  let losses = 1
  const forgetful: LogBroker = {
    assertOpen: () => broker.assertOpen(),
    topic: (topic) => broker.topic(topic),
    topicId: (of) => broker.topicId(of),
    ask: (question, request) => broker.ask(question, request),
    end: (request) => broker.end(request),
    fetch: (request) => broker.fetch(request),
    readAt: (at) => broker.readAt(at),
    watch: (of, onChange) => broker.watch(of, onChange),
    append: async (request) => {
      const offset = await broker.append(request)
      losses -= 1
      if (losses === 0) throw transactionLost('one')
      return offset
    },
  }
  const owner = { [Symbol.asyncDispose]: async () => undefined }
  await using port = new EmbeddedTransport({ broker: forgetful, owner, clock, limits })
  await port.admin.createTopics([{ topic: TOPIC, partitions: 1 }])
  await using producer = port.openProducer({ transactionalId: 'one' })
  await producer.init()
  put(producer, ['lost'])
  await expect(producer.commit()).rejects.toMatchObject({ code: 'MILLRACE_TRANSACTION_LOST' })
  await producer.abort()
  put(producer, ['kept'])
  await producer.commit()
  expect(await received(port, 1)).toEqual(['kept'])
})
