import { describe, expect, test } from 'vitest'
import { StateCleaner } from '../../runtime/state-cleaner.ts'
import { text } from '../../serdes/primitives.ts'
import { MemoryHome } from '../../state/home.ts'
import { memoryDisk } from '../../state/memory-database.ts'
import { handClock } from '../../testing/hand-clock.ts'
import { topology } from '../../topology/builder.ts'
import { MemoryBench } from './memory-bench.ts'

const MINUTE = 60_000

/** A cleaner over a folder with these tasks. */
async function cleaning(tasks: readonly string[], owned: readonly string[]) {
  const clock = handClock()
  const home = new MemoryHome({
    processId: 'p',
    disks: new Map(tasks.map((task) => [task, memoryDisk()])),
  })
  const own = new Set(owned)
  const notices: string[] = []
  const cleaner = new StateCleaner({
    home,
    isOwned: (task) => own.has(task),
    clock,
    delayMs: 10 * MINUTE,
    onNotice: (message) => void notices.push(message),
  })
  cleaner.look()
  await clock.rest()
  return { clock, home, own, cleaner, notices }
}

describe('the cleaner of a unit', () => {
  test('removes what is not owned, after the delay, and says so', async () => {
    const { clock, home, cleaner, notices } = await cleaning(['0_0', '0_1', '0_2'], ['0_1'])
    await clock.advance(10 * MINUTE - 1)
    expect(await home.tasks()).toEqual(['0_0', '0_1', '0_2'])
    await clock.advance(1)
    expect(await home.tasks()).toEqual(['0_1'])
    expect(notices).toHaveLength(2)
    expect(notices[0]).toContain('0_0')
    await cleaner[Symbol.asyncDispose]()
  })

  test('counts the delay of each task from when it was let go, and anew after it came back', async () => {
    const { clock, home, own, cleaner } = await cleaning(['0_0', '0_1'], ['0_1'])
    await clock.advance(6 * MINUTE)
    own.delete('0_1')
    cleaner.look()
    await clock.advance(2 * MINUTE)
    own.add('0_0')
    cleaner.look()
    await clock.advance(1 * MINUTE)
    own.delete('0_0')
    cleaner.look()
    await clock.advance(7 * MINUTE)
    expect(await home.tasks()).toEqual(['0_0'])
    await clock.advance(3 * MINUTE)
    expect(await home.tasks()).toEqual([])
    await cleaner[Symbol.asyncDispose]()
  })

  test('leaves what is open, and comes back for it', async () => {
    const { clock, home, cleaner, notices } = await cleaning(['0_0'], [])
    const { database } = await home.openTask('0_0')
    await clock.advance(10 * MINUTE)
    expect(await home.tasks()).toEqual(['0_0'])
    await database[Symbol.asyncDispose]()
    await clock.advance(10 * MINUTE)
    expect(await home.tasks()).toEqual([])
    expect(notices).toHaveLength(1)
    await cleaner[Symbol.asyncDispose]()
  })

  test('has nothing to wait for where all is owned, and none after its end', async () => {
    const { clock, cleaner } = await cleaning(['0_0'], ['0_0'])
    expect(clock.untilTimerMs).toBeUndefined()
    await cleaner[Symbol.asyncDispose]()
    const other = await cleaning(['0_0'], [])
    expect(other.clock.untilTimerMs).toBe(10 * MINUTE)
    await other.cleaner[Symbol.asyncDispose]()
    other.cleaner.look()
    await other.clock.rest()
    expect(other.clock.untilTimerMs).toBeUndefined()
    expect(await other.home.tasks()).toEqual(['0_0'])
  })

  test('says what keeps it from removing, and tries again', async () => {
    const clock = handClock()
    const notices: string[] = []
    let tries = 0
    const cleaner = new StateCleaner({
      home: {
        tasks: async () => ['0_0'],
        removeTask: async () => {
          tries += 1
          if (tries === 1) throw new Error('the disk is busy')
          return true
        },
      },
      isOwned: () => false,
      clock,
      delayMs: MINUTE,
      onNotice: (message) => void notices.push(message),
    })
    cleaner.look()
    await clock.advance(MINUTE)
    expect(notices).toEqual(['state that is not needed stays: the disk is busy'])
    await clock.advance(MINUTE)
    expect(tries).toBe(2)
    await cleaner[Symbol.asyncDispose]()
  })
})

const counting = topology('app', ({ stream }) => {
  stream('in', { key: text, value: text }).groupByKey().count({ store: 'counts' })
})

test('an app removes the state of tasks that it does not have any more', async () => {
  const bench = await MemoryBench.with(['in'], 2)
  const assignment = { kind: 'static', units: [0], of: 2 } as const
  bench.disks.set('0-of-2', new Map(['0_0', '0_1', '3_0'].map((task) => [task, memoryDisk()])))
  const life = await bench.start(counting, { assignment })
  await bench.pass(9 * MINUTE)
  expect([...(bench.disks.get('0-of-2')?.keys() ?? [])]).toEqual(['0_0', '0_1', '3_0'])
  await bench.pass(2 * MINUTE)
  expect([...(bench.disks.get('0-of-2')?.keys() ?? [])]).toEqual(['0_0'])
  expect(life.events.filter(({ kind }) => kind === 'notice')).toHaveLength(2)
  await life.close()
})

test('a process of a group removes the state of tasks that moved away, and keeps what it runs', async () => {
  const bench = await MemoryBench.with(['in'], 2)
  const disksOf = (machine: string): readonly string[] =>
    [...bench.disks].flatMap(([unit, disks]) =>
      unit.startsWith(machine) ? [...disks.keys()].sort() : [],
    )
  const group = { assignment: { kind: 'group' } } as const
  const first = await bench.start(counting, { ...group, machine: 'one/' })
  expect(disksOf('one/')).toEqual(['0_0', '0_1'])
  const second = await bench.start(counting, { ...group, machine: 'two/' })
  await bench.pass(9 * MINUTE)
  expect(disksOf('one/')).toEqual(['0_0', '0_1'])
  await bench.pass(2 * MINUTE)
  expect([...disksOf('one/'), ...disksOf('two/')].toSorted()).toEqual(['0_0', '0_1'])
  await second.close()
  await bench.pass(MINUTE)
  expect(disksOf('one/')).toEqual(['0_0', '0_1'])
  await first.close()
})
