/** Conformance: one producer per transactional id. */
import assert from 'node:assert/strict'
import {
  assertError,
  assertRejects,
  at,
  atOffset,
  groupOf,
  record,
  sendAll,
  sendNow,
  type ConformanceCase,
  type World,
} from './conformance-world.ts'
import type { Producer } from './transport.ts'

const FENCED = { kind: 'fenced' } as const

/** A producer with an open transaction of one record and one offset, and then its heir. */
async function takeOver(world: World): Promise<readonly [old: Producer, heir: Producer]> {
  const topic = await world.create('fenced')
  const old = await world.producer('fenced')
  await sendNow(old, topic, 'of the old one')
  await old.sendOffsets([{ ...atOffset(topic, 1), metadata: 'old' }], groupOf(world.name('group')))
  const heir = await world.producer('fenced')
  return [old, heir]
}

function fences(
  title: string,
  call: (world: World, old: Producer) => Promise<unknown>,
): ConformanceCase {
  return {
    title: `init fences the predecessor: ${title} fails, and nothing of it is ever shown`,
    async run(world) {
      const [old, heir] = await takeOver(world)
      await using _old = old
      await using _heir = heir
      const topic = world.topic('fenced')
      await assertRejects(call(world, old), FENCED)
      await assertRejects(call(world, old), FENCED)
      await sendNow(heir, topic, 'of the heir')
      await heir.commit()
      assert.deepEqual((await world.read(topic)).values, ['of the heir'])
      assert.equal(await world.committed(world.name('group'), at(topic)), undefined)
    },
  }
}

const sendsAndFlushes = fences('flush after send', async (world, old) => {
  old.send(record(world.topic('fenced'), 'late'))
  await old.flush()
})

const commits = fences('commit', (_, old) => old.commit())

const sendsOffsets = fences('sendOffsets', (world, old) =>
  old.sendOffsets(
    [{ ...atOffset(world.topic('fenced'), 5), metadata: '' }],
    groupOf(world.name('group')),
  ),
)

const sendsAndCommits = fences('commit after send', async (world, old) => {
  sendAll(old, world.topic('fenced'), ['late'])
  await old.commit()
})

const abortsWhatWasOpen: ConformanceCase = {
  title:
    'init aborts what the predecessor left open: the last stable offset and the offsets are set free',
  async run(world) {
    const topic = await world.create('left-open')
    const group = world.name('group')
    await world.log.admin.commitOffsets(group, [{ ...atOffset(topic, 3), metadata: 'kept' }])
    await using old = await world.producer('left-open')
    await sendNow(old, topic, 'never seen')
    await old.sendOffsets([{ ...atOffset(topic, 9), metadata: 'never' }], groupOf(group))
    await assertRejects(world.log.admin.committedOffsets(group, [at(topic)]), {
      code: 'MILLRACE_OFFSETS_PENDING',
      kind: 'retriable',
    })
    await using _heir = await world.producer('left-open')
    const end = await world.end(topic)
    assert.deepEqual((await world.read(topic, { to: end })).values, [])
    assert.deepEqual(await world.committed(group, at(topic)), [3, 'kept'])
  },
}

const letsOneOfTwoWin: ConformanceCase = {
  title: 'of two producers that init side by side exactly one can commit',
  async run(world) {
    const topic = await world.create('race')
    const transactionalId = world.name('race')
    await using one = world.log.openProducer({ transactionalId })
    await using two = world.log.openProducer({ transactionalId })
    const inits = await Promise.allSettled([one.init(), two.init()])
    // The slower one may be told by init itself, or by what it does next.
    const runs = [one, two].map(async (producer, index) => {
      const init = inits[index]
      if (init?.status === 'rejected') throw init.reason
      sendAll(producer, topic, [`${index}`])
      await producer.commit()
    })
    const ends = await Promise.allSettled(runs)
    const lost = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []))
    assert.equal(lost.length, 1)
    assertError(lost[0], FENCED)
    const winner = ends.findIndex((end) => end.status === 'fulfilled')
    assert.deepEqual((await world.read(topic)).values, [`${winner}`])
  },
}

const takesBack: ConformanceCase = {
  title: 'a fenced producer that comes again with init takes over in its turn',
  async run(world) {
    const [old, heir] = await takeOver(world)
    await using _old = old
    await using _heir = heir
    const topic = world.topic('fenced')
    await assertRejects(old.commit(), FENCED)
    await old.init()
    sendAll(heir, topic, ['late'])
    await assertRejects(heir.flush(), FENCED)
    await sendNow(old, topic, 'back')
    await old.commit()
    assert.deepEqual((await world.read(topic)).values, ['back'])
  },
}

const abortsOwnTransaction: ConformanceCase = {
  title: 'init of a producer in the middle of its own transaction aborts it and starts clean',
  async run(world) {
    const topic = await world.create('again')
    await using producer = await world.producer('again')
    await sendNow(producer, topic, 'flushed')
    sendAll(producer, topic, ['queued'])
    await producer.init()
    assert.equal(producer.bufferedBytes, 0)
    await sendNow(producer, topic, 'kept')
    await producer.commit()
    assert.deepEqual((await world.read(topic)).values, ['kept'])
  },
}

const leavesOthersAlone: ConformanceCase = {
  title: 'init fences its own transactional id only',
  async run(world) {
    const topic = await world.create('apart')
    await using one = await world.producer('one')
    await using plain = await world.producer()
    await sendNow(one, topic, 'one')
    await using _two = await world.producer('two')
    await using _plain = await world.producer()
    await sendNow(plain, topic, 'plain')
    await one.commit()
    assert.deepEqual((await world.read(topic)).values, ['one', 'plain'])
  },
}

/** One producer per transactional id. */
export const FENCING_CASES: readonly ConformanceCase[] = [
  sendsAndFlushes,
  commits,
  sendsOffsets,
  sendsAndCommits,
  abortsWhatWasOpen,
  letsOneOfTwoWin,
  takesBack,
  abortsOwnTransaction,
  leavesOthersAlone,
]
