import { expect, test } from 'vitest'
import { MillraceError } from '../../model/errors.ts'
import { counting } from './counting.ts'
import { MemoryBench, type LifeOptions } from './memory-bench.ts'
import { gated } from './wrapped-transport.ts'

const PARTITIONS = 3
const RECORDS = Array.from({ length: PARTITIONS }, (_, partition) => ({
  key: `key-${partition}`,
  value: 'x',
  partition,
}))

function member(machine: string, beforeCommit = async () => {}): LifeOptions {
  const wrap: LifeOptions['wrap'] = (log) => gated(log, { beforeCommit })
  return { machine, wrap, assignment: { kind: 'group' }, limits: { restartBackoffMs: 20_000 } }
}

test('a life that begins while the members of its group change commits nothing until they have', async () => {
  const bench = await MemoryBench.with(['in', 'out'], PARTITIONS)
  const out = () => Array.from({ length: PARTITIONS }, (_, p) => bench.texts('out', p)).flat()
  const gate = Promise.withResolvers<void>()
  let [isFailing, isHolding, isHeld, commits] = [false, false, false, 0]
  const first = await bench.start(
    counting,
    member('one', async () => {
      commits += 1
      if (isFailing) throw new MillraceError('MILLRACE_TEST', 'not today', { remedy: 'retry' })
    }),
  )
  const restarts = () => first.events.filter(({ kind }) => kind === 'restarting').length
  const second = await bench.start(
    counting,
    member('two', async () => {
      isHeld = isHolding
      if (isHolding) await gate.promise
    }),
  )
  await bench.produce('in', RECORDS)
  await bench.until(() => out().length === PARTITIONS)
  isFailing = true
  isHolding = true
  await bench.produce('in', RECORDS)
  await bench.until(() => restarts() === 1 && isHeld)
  isFailing = false
  commits = 0
  // The second joins after its commit alone, so the group waits; the first begins its next life meanwhile.
  const third = bench.start(counting, member('three'))
  await bench.until(() => first.events.at(-1)?.kind === 'unit-started')
  await bench.produce('in', RECORDS)
  await bench.pass(10_000)
  expect(commits).toBe(0)
  isHolding = false
  gate.resolve()
  const lives = [first, second, await third]
  await bench.until(() => out().length === 3 * PARTITIONS)
  expect(restarts()).toBe(1)
  for (const life of lives) await life.close()
})

test('a commit that does not end holds up a rebalance for half of its timeout, and puts nobody out', async () => {
  const bench = await MemoryBench.with(['in', 'out'], PARTITIONS)
  const out = () => Array.from({ length: PARTITIONS }, (_, p) => bench.texts('out', p)).flat()
  const gate = Promise.withResolvers<void>()
  let [isShut, isHeld] = [false, false]
  const first = await bench.start(counting, {
    ...member('one', async () => {
      isHeld = isShut
      if (isShut) await gate.promise
    }),
    limits: {},
  })
  await bench.produce('in', RECORDS)
  await bench.until(() => out().length === PARTITIONS)
  isShut = true
  await bench.produce('in', RECORDS)
  await bench.until(() => isHeld)
  const second = bench.start(counting, member('two'))
  const reasons = () =>
    first.events.flatMap((event) => (event.kind === 'restarting' ? [event.error] : []))
  await bench.until(() => reasons().length > 0)
  isShut = false
  await bench.until(() => out().length === 2 * PARTITIONS)
  expect(reasons()).toMatchObject([{ code: 'MILLRACE_COMMIT_HELD_UP' }])
  gate.resolve()
  await bench.pass(1_000)
  expect(out().toSorted()).toEqual(
    RECORDS.flatMap(({ key }) => [`${key}=1`, `${key}=2`]).toSorted(),
  )
  for (const life of [first, await second]) await life.close()
})
