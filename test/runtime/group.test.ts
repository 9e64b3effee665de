import { describe, expect, test } from 'vitest'
import { isMillraceError, MillraceError } from '../../model/errors.ts'
import type { GroupAssignment } from '../../runtime/assignment.ts'
import type { Guarantee, StreamsEvent } from '../../runtime/config.ts'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import { TransportError } from '../../transport/errors.ts'
import { counting } from './counting.ts'
import { MemoryBench, type Life, type LifeOptions } from './memory-bench.ts'
import { silenceOf } from './silence.ts'
import { gated, endingMembership } from './wrapped-transport.ts'

const GROUP: GroupAssignment = { kind: 'group' }
const PARTITIONS = 4
const KEYS = Array.from({ length: PARTITIONS }, (_, p) => `key-${p}`)

class Group {
  readonly bench: MemoryBench
  readonly lives: Life[] = []
  /** Records produced so far of each key. */
  produced = 0

  constructor(bench: MemoryBench) {
    this.bench = bench
  }

  static async of(processes: number, options: LifeOptions = {}): Promise<Group> {
    const group = new Group(await MemoryBench.with(['in', 'out'], PARTITIONS))
    for (let i = 0; i < processes; i += 1) await group.join(`machine-${i}`, options)
    return group
  }

  async join(machine: string, options: LifeOptions = {}): Promise<Life> {
    const life = await this.bench.start(counting, { machine, assignment: GROUP, ...options })
    this.lives.push(life)
    return life
  }

  /** One record of each key, key p on partition p. */
  async produce(times = 1): Promise<void> {
    for (let i = 0; i < times; i += 1) {
      this.produced += 1
      await this.bench.produce(
        'in',
        KEYS.map((key, partition) => ({ key, value: 'x', partition })),
      )
    }
  }

  /** Waits until all that was produced has been counted; then nothing is left out, and but for at-least-once nothing is counted twice. */
  async counted(guarantee: Guarantee = 'exactly-once'): Promise<void> {
    const all = (): readonly string[] =>
      Array.from({ length: PARTITIONS }, (_, p) => this.bench.texts('out', p)).flat()
    const out = (): readonly string[] =>
      guarantee === 'exactly-once' ? all() : [...new Set(all())].toSorted()
    await this.bench.until(() => out().length >= this.produced * KEYS.length)
    for (const key of KEYS) {
      const counts = Array.from({ length: this.produced }, (_, i) => `${key}=${i + 1}`)
      expect(out().filter((line) => line.startsWith(`${key}=`))).toEqual(counts)
    }
  }

  /** What each process runs, by its last word. */
  shares(): readonly (readonly string[])[] {
    return this.lives.map(({ events }) => lastTasks(events))
  }

  async close(): Promise<void> {
    for (const life of this.lives) if (life.app.state === 'running') await life.close()
  }
}

function codeOf(error: Error): string {
  return isMillraceError(error) ? error.code : error.name
}

function lastTasks(events: readonly StreamsEvent[]): readonly string[] {
  const last = events.findLast((event) => event.kind === 'unit-started')
  return last?.kind === 'unit-started' ? last.tasks : []
}

describe('a group of processes', () => {
  test('shares the tasks evenly, and each task has one owner', async () => {
    const group = await Group.of(2)
    await group.produce(3)
    await group.counted()
    expect(group.shares().map(({ length }) => length)).toEqual([2, 2])
    expect(group.shares().flat().toSorted()).toEqual(['0_0', '0_1', '0_2', '0_3'])
    await group.close()
  })

  test('gives the tasks of a process that stops to the others, without a record twice or none', async () => {
    const group = await Group.of(3)
    await group.produce(2)
    await group.counted()
    await group.lives[1]?.close()
    await group.produce(2)
    await group.counted()
    await group.close()
  })

  test('gives the tasks of a process that is killed to the others once its session is over', async () => {
    const group = await Group.of(2)
    await group.produce(2)
    await group.counted()
    group.lives[0]?.kill()
    await group.produce(2)
    await group.counted()
    await group.lives[1]?.close()
  })

  test('goes on with the tasks that stay while another process joins', async () => {
    const group = await Group.of(1)
    await group.produce()
    await group.counted()
    const joining = group.join('machine-9')
    await group.produce(5)
    await joining
    await group.counted()
    expect(group.lives[0]?.events.some(({ kind }) => kind === 'restarting')).toBe(false)
    await group.close()
  })

  test('keeps copies of state on other processes, which take over without a restore', async () => {
    const standbys: LifeOptions = { assignment: { kind: 'group', standbys: 1 } }
    const group = await Group.of(2, standbys)
    await group.produce(3)
    await group.counted()
    await group.bench.pass(2_000)
    const [first, second] = group.lives
    const before = second?.events.length ?? 0
    expect(second?.events.some(({ kind }) => kind === 'restoring')).toBe(true)
    await first?.close()
    await group.produce(1)
    await group.counted()
    const restored = second?.events.slice(before).filter(({ kind }) => kind === 'restoring')
    expect(restored).toEqual([])
    await second?.close()
  })

  test('refuses a process that was told its partitions while it has members', async () => {
    const group = await Group.of(1)
    const told = group.bench.life(counting, { machine: 'other' })
    told.app.start().catch(() => {})
    expect(await told.failure()).toMatchObject({ code: 'MILLRACE_GROUP_HAS_MEMBERS' })
    await group.close()
  })

  test('refuses the offsets of an app that was told its partitions, and adopts them when it is asked to', async () => {
    const bench = await MemoryBench.with(['in', 'out'], PARTITIONS)
    const group = new Group(bench)
    const told = await bench.start(counting, { machine: 'told' })
    await group.produce(2)
    await group.counted()
    told.kill()
    const refused = bench.life(counting, { machine: 'a', assignment: GROUP })
    refused.app.start().catch(() => {})
    expect(await refused.failure()).toMatchObject({ code: 'MILLRACE_OTHER_MODE' })
    await group.join('a', { adopt: true })
    await group.produce(2)
    await group.counted()
    await group.close()
  })

  test('refuses a process with another topology, and goes on', async () => {
    const group = await Group.of(1)
    const other = topology('app', ({ stream }) => {
      stream('in', { key: text, value: text })
        .groupByKey()
        .count({ store: 'renamed' })
        .toStream()
        .mapValues(String)
        .to('out', { value: text })
    })
    const refused = group.bench.life(other, { machine: 'b', assignment: GROUP })
    refused.app.start().catch(() => {})
    expect(await refused.failure()).toMatchObject({ code: 'MILLRACE_GROUP_OTHER_TOPOLOGY' })
    await group.produce(2)
    await group.counted()
    await group.close()
  })

  test('leaves nothing out under at-least-once, whoever is killed', async () => {
    const options = { guarantee: 'at-least-once', limits: { commitIntervalMs: 100 } } as const
    const group = await Group.of(2, options)
    await group.produce(2)
    group.lives[0]?.kill()
    await group.produce(2)
    const seen = (): ReadonlySet<string> =>
      new Set(Array.from({ length: PARTITIONS }, (_, p) => group.bench.texts('out', p)).flat())
    await group.bench.until(() => seen().size >= 4 * KEYS.length)
    await group.lives[1]?.close()
  })
})

describe('a process that was taken for dead', () => {
  test('says that the group has put it out, and not that it was fenced, though its heir came first', async () => {
    const silence = silenceOf('life-1')
    const bench = new MemoryBench(silence)
    await bench.createTopics(['in', 'out'], PARTITIONS)
    const group = new Group(bench)
    const away = await group.join('machine-0')
    await group.join('machine-1')
    await group.produce()
    await group.counted()
    silence.isSilent = true
    await bench.until(() => group.shares()[1]?.length === PARTITIONS)
    await group.produce()
    // Its commit is refused before the group answers it again.
    await bench.pass(200)
    silence.isSilent = false
    await bench.until(() => group.shares().every(({ length }) => length === PARTITIONS / 2))
    await group.produce()
    await group.counted()
    const restarts = away.events.filter((event) => event.kind === 'restarting')
    expect(restarts.map(({ error }) => codeOf(error))).toEqual(['MILLRACE_GROUP_LOST'])
    await group.close()
  })

  test('starts over as fenced where the group still has it', async () => {
    const group = await Group.of(1)
    const [life] = group.lives
    await group.produce()
    await group.counted()
    const transactionalId = `app-${[...group.bench.disks.keys()].join()}`
    await using other = group.bench.log.openProducer({ transactionalId })
    await group.bench.settle(other.init())
    await group.produce()
    await group.counted()
    const restarts = life?.events.filter((event) => event.kind === 'restarting') ?? []
    expect(restarts.map(({ error }) => codeOf(error))).toEqual(['MILLRACE_PRODUCER_FENCED'])
    await group.close()
  })
})

describe('two processes of a group under one instance id', () => {
  const instance: GroupAssignment = { kind: 'group', instanceId: 'a' }

  test.for([
    ['exactly-once', 'idle'],
    ['exactly-once', 'busy'],
    ['at-least-once', 'idle'],
    ['at-least-once', 'busy'],
  ] as const)(
    'are one soon, under %s while they are %s: the older ends and says why, the newer goes on',
    async ([guarantee, work]) => {
      const limits = { commitIntervalMs: 100 }
      const options = { guarantee, limits, assignment: instance } as const
      const group = await Group.of(1, options)
      const other = await group.join('another', { guarantee, limits })
      await group.produce()
      await group.counted(guarantee)
      const [older] = group.lives
      const newer = await group.join('machine-1', options)
      const failed = older?.failure()
      if (work === 'busy') await group.produce()
      expect(await failed).toMatchObject({ code: 'MILLRACE_GROUP_INSTANCE_FENCED' })
      expect(older?.app.state).toBe('failed')
      await group.produce(3)
      await group.counted(guarantee)
      await group.bench.pass(60_000)
      for (const { app, events } of [newer, other]) {
        expect(app.state).toBe('running')
        expect(events.filter(({ kind }) => kind === 'restarting')).toEqual([])
      }
      await group.close()
    },
  )

  test('are told apart also while the older is between two lives', async () => {
    let fails = false
    const beforeCommit = async (): Promise<void> => {
      if (fails) throw new MillraceError('MILLRACE_TEST', 'no commit today', { remedy: 'retry' })
    }
    const group = await Group.of(1, {
      assignment: instance,
      limits: { restartBackoffMs: 20_000 },
      wrap: (log) => gated(log, { beforeCommit }),
    })
    await group.produce()
    await group.counted()
    const [older] = group.lives
    fails = true
    await group.produce()
    await group.bench.until(() => older?.events.at(-1)?.kind === 'restarting')
    const newer = await group.join('machine-1', { assignment: instance })
    expect(await older?.failure()).toMatchObject({ code: 'MILLRACE_GROUP_INSTANCE_FENCED' })
    await group.produce()
    await group.counted()
    expect(newer.events.filter(({ kind }) => kind === 'restarting')).toEqual([])
    await newer.close()
  })

  test('are not taken for two where one was only not heard of for a session: it joins again', async () => {
    const silence = silenceOf('life-1')
    const bench = new MemoryBench(silence)
    await bench.createTopics(['in', 'out'], PARTITIONS)
    const group = new Group(bench)
    const away = await group.join('machine-0', { assignment: instance })
    await group.join('machine-1')
    await group.produce()
    await group.counted()
    silence.isSilent = true
    await bench.until(() => group.shares()[1]?.length === PARTITIONS)
    silence.isSilent = false
    await group.produce()
    await bench.until(() => group.shares().every(({ length }) => length === PARTITIONS / 2))
    await group.produce()
    await group.counted()
    const restarts = away.events.filter((event) => event.kind === 'restarting')
    expect(restarts.map(({ error }) => codeOf(error))).toContain('MILLRACE_GROUP_LOST')
    expect(away.app.state).toBe('running')
    await group.close()
  })
})

describe('a membership that ended for good', () => {
  // An error that an abort would mend, had it come from the record loop.
  const refused = new TransportError('MILLRACE_TEST', 'abortable', {
    message: 'no share today',
    place: 'group app',
  })

  test('makes its unit start over and join again, also while there is nothing to do', async () => {
    const end = Promise.withResolvers<Error>()
    const group = await Group.of(1, { wrap: (log) => endingMembership(log, end.promise) })
    const [life] = group.lives
    await group.produce()
    await group.counted()
    end.resolve(refused)
    await group.bench.pass(5_000)
    const ends = life?.events.filter(({ kind }) => kind === 'rewound' || kind === 'restarting')
    expect(ends).toMatchObject([{ kind: 'restarting', error: refused }])
    expect(life?.events.at(-1)).toMatchObject({ kind: 'unit-started', tasks: { length: 4 } })
    await group.produce(2)
    await group.counted()
    await group.close()
  })

  const CASES = (
    [
      ['exactly-once', 'all is committed'],
      ['exactly-once', 'a commit is on its way'],
      ['exactly-once', 'records wait for it'],
      ['at-least-once', 'all is committed'],
      ['at-least-once', 'records wait for it'],
    ] as const
  ).flatMap(([guarantee, work]) =>
    (['before', 'after'] as const).map((order) => ({ guarantee, work, order })),
  )

  test.for(CASES)(
    'right $order the stop of its unit does no harm to the last commit, under $guarantee where $work',
    async ({ work, guarantee, order }) => {
      const end = Promise.withResolvers<Error>()
      const gate = Promise.withResolvers<void>()
      const isExactlyOnce = guarantee === 'exactly-once'
      let isHeld = false
      let commits = 0
      const beforeCommit = async (): Promise<void> => {
        commits += 1
        if (isHeld) await gate.promise
      }
      let sends = 0
      const onSend = (topic: string): void => void (sends += topic === 'out' ? 1 : 0)
      const group = await Group.of(1, {
        guarantee,
        limits: { commitIntervalMs: work === 'records wait for it' ? 60_000 : 100 },
        wrap: (log) => endingMembership(gated(log, { beforeCommit, onSend }), end.promise),
      })
      const [life] = group.lives
      if (work !== 'records wait for it') {
        await group.produce()
        await group.counted(guarantee)
        await group.bench.pass(200)
      }
      isHeld = true
      const before = commits
      if (work !== 'all is committed') await group.produce()
      if (work === 'records wait for it') {
        await group.bench.until(() =>
          isExactlyOnce ? sends === PARTITIONS : group.bench.texts('out', 3).length === 1,
        )
      }
      if (work === 'a commit is on its way') {
        await group.bench.until(() => commits > before)
      }
      if (order === 'before') end.resolve(refused)
      const closing = life?.close()
      end.resolve(refused)
      gate.resolve()
      await closing
      expect(life?.app.state).toBe('stopped')
      const isGivenUp = life?.events.some(
        (event) => event.kind === 'notice' && event.message.includes('(no share today)'),
      )
      if (work !== 'a commit is on its way') expect(isGivenUp).toBe(work === 'records wait for it')
      await group.join('machine-1', { guarantee, limits: { commitIntervalMs: 100 } })
      await group.produce()
      await group.counted(guarantee)
      await group.close()
    },
  )
})
