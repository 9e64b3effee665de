import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { asOffset } from '../../model/position.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { GroupWorld } from '../../transport/conformance-group-world.ts'
import { World } from '../../transport/conformance-world.ts'
import { openEmbeddedLog } from '../../transport/embedded/open.ts'
import { endWithTest } from '../end-with-tests.ts'
import { openShared, PLACE, put, received, send, Texts, TOPIC } from './sharing-world.ts'

const root = await mkdtemp(join(tmpdir(), 'millrace-shared-'))
afterAll(() => rm(root, { recursive: true, force: true }))
let folders = 0
const newFolder = (): string => join(root, `log-${(folders += 1)}`)
const clock = systemClock()
const HOLDER = fileURLToPath(new URL('./sharing-holder.ts', import.meta.url))
const NOBODY = { groupId: 'group', generation: -1, memberId: '' }

describe('processes that share a log', () => {
  it('may all come at the same moment, to a folder that is not there yet', async () => {
    const folder = newFolder()
    const logs = await Promise.all(Array.from({ length: 6 }, () => openShared(folder)))
    await logs[0]?.admin.createTopics([{ topic: TOPIC, partitions: 1 }])
    for (const [index, log] of logs.entries()) await send(log, [String(index)])
    for (const log of logs) {
      expect(await received(log, 6)).toEqual(['0', '1', '2', '3', '4', '5'])
    }
    // In the order of their opening: most of them pass the log on.
    for (const log of logs) await log[Symbol.asyncDispose]()
    const alone = await openEmbeddedLog({ folder, clock })
    await alone[Symbol.asyncDispose]()
  })

  it('see a topic that one of them makes or deletes as soon as it was told', async () => {
    const folder = newFolder()
    await using holder = await openShared(folder)
    await using guest = await openShared(folder)
    await guest.admin.createTopics([{ topic: TOPIC, partitions: 1 }])
    await send(guest, ['a'])
    expect(await received(holder, 1)).toEqual(['a'])
    await guest.admin.deleteTopics([TOPIC])
    await using producer = guest.openProducer({})
    await producer.init()
    put(producer, ['b'])
    await expect(producer.flush()).rejects.toMatchObject({ code: 'MILLRACE_UNKNOWN_PARTITION' })
    await expect(guest.admin.deleteTopics([TOPIC])).rejects.toMatchObject({
      code: 'MILLRACE_UNKNOWN_PARTITION',
    })
  })

  it('are refused by a process that holds it alone, which is named; and a sharing one refuses that', async () => {
    const folder = newFolder()
    {
      await using _alone = await openEmbeddedLog({ folder, clock })
      await expect(openShared(folder)).rejects.toMatchObject({
        code: 'MILLRACE_LOG_IN_USE',
        message: expect.stringContaining(String(process.pid)) as string,
      })
    }
    await using _shared = await openShared(folder)
    await expect(openEmbeddedLog({ folder, clock })).rejects.toMatchObject({
      code: 'MILLRACE_LOG_IN_USE',
    })
  })

  it('are refused fsync by a holder that does not sync', async () => {
    const folder = newFolder()
    await using _holder = await openShared(folder)
    await expect(openShared(folder, { durability: 'fsync' })).rejects.toMatchObject({
      code: 'MILLRACE_LOG_IN_USE',
      message: expect.stringContaining('fsync') as string,
    })
  })
})

describe('a holder that closes', () => {
  it('passes the log on: producers and readers of the others stay, in order and without a gap', async () => {
    const folder = newFolder()
    const holder = await openShared(folder)
    await holder.admin.createTopics([{ topic: TOPIC, partitions: 1 }])
    await using guest = await openShared(folder)
    await using reader = guest.openReader({ isolation: 'read_committed', prefetchBytes: 10_000 })
    const texts = new Texts(reader)
    await using producer = guest.openProducer({})
    await producer.init()
    const all = Array.from({ length: 2_000 }, (_, index) => `${index}`)
    put(producer, all.slice(0, 500))
    await producer.flush()
    let closing: Promise<void> | undefined
    for (const [index, text] of all.slice(500).entries()) {
      put(producer, [text])
      if (index === 700) closing = holder[Symbol.asyncDispose]()
      if (index % 50 === 0) await producer.flush()
    }
    await producer.flush()
    await closing
    expect(await texts.upTo(2_000)).toEqual(all)
    expect(await guest.admin.offsets([PLACE], 'latest', 'read_committed')).toEqual([2_000])
  })

  it('takes open transactions along, which is told; their producers abort and go on', async () => {
    const folder = newFolder()
    const holder = await openShared(folder)
    await holder.admin.createTopics([{ topic: TOPIC, partitions: 1 }])
    await using guest = await openShared(folder)
    await using producer = guest.openProducer({ transactionalId: 'guest' })
    await producer.init()
    put(producer, ['first'])
    await producer.commit()
    put(producer, ['lost'])
    await producer.flush()
    await producer.sendOffsets([{ ...PLACE, offset: asOffset(5), metadata: '' }], NOBODY)
    await holder[Symbol.asyncDispose]()
    const lost = { code: 'MILLRACE_TRANSACTION_LOST', kind: 'abortable' }
    await expect(producer.commit()).rejects.toMatchObject(lost)
    await expect(producer.flush()).rejects.toMatchObject(lost)
    await producer.abort()
    put(producer, ['second'])
    await producer.commit()
    expect(await received(guest, 2)).toEqual(['first', 'second'])
    expect(await guest.admin.committedOffsets('group', [PLACE])).toEqual([undefined])
  })
})

describe('a holder that is stopped', () => {
  it('is waited for no longer than a call may wait; when it goes on, so does everything', async () => {
    const folder = newFolder()
    const holder = endWithTest(
      spawn(process.execPath, [HOLDER, folder], { stdio: ['pipe', 'pipe', 'inherit'] }),
    )
    await once(holder.stdout, 'data')
    {
      // They hold for what comes before the stop as well, on a busy machine.
      const limits = { holderDeadlineMs: 2_000, handshakeMs: 1_000 }
      await using guest = await openShared(folder, limits)
      await guest.admin.createTopics([{ topic: TOPIC, partitions: 1 }])
      await using reader = guest.openReader({ isolation: 'read_committed', prefetchBytes: 10_000 })
      const texts = new Texts(reader)
      await send(guest, ['before'])
      expect(await texts.upTo(1)).toEqual(['before'])
      await using producer = guest.openProducer({})
      await producer.init()
      await using transactional = guest.openProducer({ transactionalId: 'guest' })
      await transactional.init()
      put(transactional, ['lost'])
      await transactional.flush()
      holder.kill('SIGSTOP')
      const signal = AbortSignal.timeout(100)
      await expect(openShared(folder, { signal })).rejects.toMatchObject({ name: 'TimeoutError' })
      const unreachable = { code: 'MILLRACE_LOG_UNREACHABLE', kind: 'retriable' }
      const commit = transactional.commit()
      await expect(guest.admin.describeTopics()).rejects.toMatchObject({
        ...unreachable,
        message: expect.stringContaining(`pid ${holder.pid}`) as string,
      })
      await expect(commit).rejects.toMatchObject(unreachable)
      put(producer, ['uncertain'])
      await expect(producer.flush()).rejects.toMatchObject(unreachable)
      // Its sequences may be taken: only a new init gives others.
      put(producer, ['refused'])
      await expect(producer.flush()).rejects.toMatchObject(unreachable)
      holder.kill('SIGCONT')
      await firstOf(() => guest.admin.describeTopics())
      const outcome = await transactional.commit().then(
        () => ['lost'],
        (error: unknown) => error,
      )
      await producer.init()
      put(producer, ['after'])
      await producer.flush()
      const isCommitted = Array.isArray(outcome)
      if (!isCommitted) expect(outcome).toMatchObject({ code: 'MILLRACE_TRANSACTION_LOST' })
      const expected = isCommitted ? ['before', 'lost', 'after'] : ['before', 'after']
      expect(await texts.upTo(expected.length)).toEqual(expected)
    }
    holder.stdin.end()
    await once(holder, 'close')
  })
})

describe('members of a group in several processes', () => {
  it('lose what they have with the holder, and share all of it again with the next', async () => {
    const folder = newFolder()
    const holder = await openShared(folder)
    await using one = await openShared(folder)
    await using two = await openShared(folder)
    const world = new World(one, { clock, open: () => openShared(folder) }, 'members')
    const topic = await world.create('topic', 4)
    // Each watches itself alone: until a member hears that its holder is gone, another may have its
    // share already. Nothing it does then counts, which is tried below.
    const [group, other] = [new GroupWorld(world, topic), new GroupWorld(world, topic)]
    const members = [group.join('one', { log: one }), other.join('two', { log: two })]
    await group.settled(4, ...members)
    const before = members.map(({ metadata }) => metadata)
    const closing = holder[Symbol.asyncDispose]()
    await group.until('all of it to be lost', () =>
      members.every(({ events }) => events.some((event) => event.startsWith('lost'))),
    )
    await closing
    expect(
      members.flatMap(({ events }) => events.filter((event) => event.startsWith('lost'))),
    ).toHaveLength(2)
    await group.settled(4, ...members)
    // What they were is nothing to the next holder.
    for (const metadata of before) {
      const offsets = [{ topic, partition: PLACE.partition, offset: asOffset(1), metadata: '' }]
      await expect(one.admin.commitOffsets(group.groupId, offsets, metadata)).rejects.toMatchObject(
        { code: 'MILLRACE_GROUP_FENCED' },
      )
    }
    await group.end(...members)
  })
})

describe('a frame that the holder does not take', () => {
  it('is an error of the call that sent it, and is not sent for ever; what comes after it goes on', async () => {
    const folder = newFolder()
    await using holder = await openShared(folder, { frameBytes: 100_000 })
    const topic = { topic: TOPIC, partitions: 1, config: { 'max.message.bytes': '1000000' } }
    await holder.admin.createTopics([topic])
    await using guest = await openShared(folder)
    {
      await using producer = guest.openProducer({})
      await producer.init()
      put(producer, ['x'.repeat(200_000)])
      await expect(producer.flush()).rejects.toMatchObject({ code: 'MILLRACE_LOG_PROTOCOL' })
    }
    await send(guest, ['after'])
    expect(await received(guest, 1)).toEqual(['after'])
  })
})

describe('a process that ends', () => {
  it('leaves no transaction open: its records hold nobody back', async () => {
    const folder = newFolder()
    await using holder = await openShared(folder)
    await holder.admin.createTopics([{ topic: TOPIC, partitions: 1 }])
    const guest = await openShared(folder)
    const producer = guest.openProducer({ transactionalId: 'guest' })
    await producer.init()
    put(producer, ['never'])
    await producer.flush()
    await guest.abandon()
    await send(holder, ['shown'])
    expect(await received(holder, 1)).toEqual(['shown'])
  })
})

/** Tries until it works. */
async function firstOf<T>(attempt: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await attempt()
    } catch {
      await clock.yield()
    }
  }
}
