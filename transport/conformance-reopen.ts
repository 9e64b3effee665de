/** Conformance: what a log still knows when it is opened again, after a close and after a crash. */
import assert from 'node:assert/strict'
import {
  assertRejects,
  at,
  atOffset,
  groupOf,
  sendAll,
  sendNow,
  type ConformanceCase,
  type World,
} from './conformance-world.ts'

/** Opens the log again; the second part of a case runs on it and closes it. */
async function again(world: World, run: (reopened: World) => Promise<void>): Promise<void> {
  const log = await world.harness.reopen?.()
  assert.ok(log !== undefined)
  await using _log = log
  await run(world.on(log))
}

const keepsEverything: ConformanceCase = {
  title: 'a log opened again has its topics, records, ends and offsets, and goes on where it was',
  needs: ['reopen'],
  async run(world) {
    const topic = await world.create('kept', 2, { 'max.message.bytes': '3000000' })
    const group = world.name('group')
    const [before] = await world.log.admin.describeTopics([topic])
    await using producer = await world.producer('kept')
    await sendNow(producer, topic, 'aborted')
    await producer.abort()
    sendAll(producer, topic, ['a', 'b'])
    sendAll(producer, at(topic, 1), ['c'])
    await producer.sendOffsets([{ ...atOffset(topic, 1), metadata: 'm' }], groupOf(group))
    await producer.commit()
    const end = await world.end(topic)
    await world.log[Symbol.asyncDispose]()
    await again(world, async (reopened) => {
      const [after] = await reopened.log.admin.describeTopics([topic])
      assert.deepEqual({ ...after }, { ...before })
      assert.equal(await reopened.end(topic), end)
      assert.equal(await reopened.end(topic, 'read_committed'), end)
      assert.deepEqual((await reopened.read(topic)).values, ['a', 'b'])
      assert.deepEqual((await reopened.read(topic, {}, 1)).values, ['c'])
      const [offset] = await reopened.log.admin.committedOffsets(group, [at(topic)])
      assert.equal(offset?.offset, 1)
      assert.equal(offset.metadata, 'm')
      await using heir = await reopened.producer('kept')
      await sendNow(heir, topic, 'd')
      await heir.commit()
      assert.deepEqual((await reopened.read(topic)).values, ['a', 'b', 'd'])
    })
  },
}

const fencesAcross: ConformanceCase = {
  title: 'producers fence each other in a log that was opened again',
  needs: ['reopen'],
  async run(world) {
    const topic = await world.create('fences')
    const first = await world.producer('fences')
    await sendNow(first, topic, 'a')
    await first.commit()
    await world.log[Symbol.asyncDispose]()
    await again(world, async (reopened) => {
      await using second = await reopened.producer('fences')
      await sendNow(second, topic, 'b')
      await using third = await reopened.producer('fences')
      await assertRejects(second.commit(), { kind: 'fenced' })
      await sendNow(third, topic, 'c')
      await third.commit()
      assert.deepEqual((await reopened.read(topic)).values, ['a', 'c'])
    })
  },
}

const closeAborts: ConformanceCase = {
  title: 'a transaction left open by a close is never shown',
  needs: ['reopen'],
  async run(world) {
    const topic = await world.create('left')
    const producer = await world.producer('left')
    await sendNow(producer, topic, 'never')
    await producer[Symbol.asyncDispose]()
    await world.log[Symbol.asyncDispose]()
    await again(world, async (reopened) => {
      await using _heir = await reopened.producer('left')
      const end = await reopened.end(topic)
      assert.deepEqual((await reopened.read(topic, { to: end })).values, [])
    })
  },
}

const heirAborts: ConformanceCase = {
  title:
    "a crashed process's acknowledged transactions are whole, its open one ends with its heir's init",
  needs: ['reopen', 'crash'],
  async run(world) {
    const topic = await world.create('crashed', 2)
    const group = world.name('group')
    const producer = await world.producer('crashed')
    sendAll(producer, topic, ['whole'])
    sendAll(producer, at(topic, 1), ['whole'])
    await producer.sendOffsets([{ ...atOffset(topic, 1), metadata: 'whole' }], groupOf(group))
    await producer.commit()
    await sendNow(producer, topic, 'half')
    await producer.sendOffsets([{ ...atOffset(topic, 2), metadata: 'half' }], groupOf(group))
    sendAll(producer, at(topic, 1), ['not even sent'])
    await world.harness.crash?.(world.log)
    await again(world, async (reopened) => {
      await using heir = await reopened.producer('crashed')
      assert.deepEqual(await reopened.committed(group, at(topic)), [1, 'whole'])
      for (const partition of [0, 1]) {
        const end = await reopened.end(topic, 'read_uncommitted', partition)
        const { values } = await reopened.read(topic, { to: end }, partition)
        assert.deepEqual(values, ['whole'])
      }
      await sendNow(heir, topic, 'next')
      await heir.commit()
      assert.deepEqual((await reopened.read(topic)).values, ['whole', 'next'])
    })
  },
}

const plainSurvivesCrash: ConformanceCase = {
  title:
    'records acknowledged outside transactions and offsets committed outside them survive a crash',
  needs: ['reopen', 'crash'],
  async run(world) {
    const topic = await world.create('plain')
    const group = world.name('group')
    const producer = await world.producer()
    await sendNow(producer, topic, 'a', 'b')
    await world.log.admin.commitOffsets(group, [{ ...atOffset(topic, 1), metadata: 'm' }])
    await world.harness.crash?.(world.log)
    await again(world, async (reopened) => {
      assert.deepEqual((await reopened.read(topic)).values, ['a', 'b'])
      const [offset] = await reopened.log.admin.committedOffsets(group, [at(topic)])
      assert.equal(offset?.offset, 1)
    })
  },
}

/** What a log still knows when it is opened again. */
export const REOPEN_CASES: readonly ConformanceCase[] = [
  keepsEverything,
  fencesAcross,
  closeAborts,
  heirAborts,
  plainSurvivesCrash,
]
