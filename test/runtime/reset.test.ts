/** Resets of applications over the embedded log and LevelDB in real folders. */
import { mkdir, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { isMillraceError } from '../../model/errors.ts'
import { asOffset, asPartition, asTopic } from '../../model/position.ts'
import {
  applyReset,
  isNothing,
  planReset,
  RESET,
  type ResetPlan,
  type ResetRequest,
} from '../../runtime/reset.ts'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import { Bench } from './fixtures.ts'

const SERDES = { key: text, value: text }

const counting = (store = 'counts') =>
  topology('app', ({ stream }) => {
    stream('in', SERDES)
      .groupBy(({ value }) => value, { key: text, name: 'by-value' })
      .count({ store })
      .toStream()
      .mapValues(String, { value: text })
      .to('out', SERDES)
  })

const record = (value: string, timestamp = 1000) => ({ key: value, value, timestamp })

async function opened(values: readonly { key: string; value: string }[]): Promise<Bench> {
  const bench = await Bench.open()
  await bench.createTopics(['in', 'out'], 2)
  await bench.produce('in', values, 2)
  return bench
}

/** Does all that is there, and stops. */
async function run(bench: Bench, pipeline = counting()): Promise<void> {
  await using app = bench.app(pipeline)
  await app.start()
  await app.caughtUp()
  await app.close()
}

function request(bench: Bench, parts: Partial<ResetRequest> = {}): ResetRequest {
  const stateDir = join(bench.folder, 'state')
  const { transport } = bench
  return { topology: counting(), transport, stateDir, to: { kind: 'earliest' }, ...parts }
}

async function reset(bench: Bench, parts: Partial<ResetRequest> = {}): Promise<ResetPlan> {
  const asked = request(bench, parts)
  const plan = await planReset(asked)
  await applyReset(plan, asked)
  return plan
}

async function topicNames(bench: Bench): Promise<readonly string[]> {
  return (await bench.transport.admin.describeTopics()).map(({ topic }) => topic).sort()
}

const sorted = async (bench: Bench): Promise<readonly string[]> =>
  (await bench.texts('out')).toSorted()

describe('a reset', () => {
  test('lets an application do everything again, as if it had never run', async () => {
    await using bench = await opened([record('a'), record('b'), record('a')])
    await run(bench)
    expect(await sorted(bench)).toEqual(['a=1', 'a=2', 'b=1'])
    await reset(bench)
    expect(await topicNames(bench)).toEqual(['in', 'out'])
    expect(await readdir(join(bench.folder, 'state', 'app'))).toEqual([])
    await run(bench)
    expect(await sorted(bench)).toEqual(['a=1', 'a=1', 'a=2', 'a=2', 'b=1', 'b=1'])
  })

  test('shows its plan, which changes nothing', async () => {
    await using bench = await opened([record('a'), record('b'), record('a')])
    await run(bench)
    const plan = await planReset(request(bench))
    expect(plan).toMatchObject({
      application: 'app',
      writers: ['app-0', 'app-1'],
      topics: ['app-by-value-repartition', 'app-counts-changelog'],
      left: [],
      folders: ['0-of-2', '1-of-2'].map((unit) => join(bench.folder, 'state', 'app', unit)),
      outputs: ['out'],
    })
    const read = plan.inputs.map(({ topic, partition, from, to }) => [topic, partition, from, to])
    expect(read.map(([topic, partition, , to]) => [topic, partition, to])).toEqual([
      ['in', 0, 0],
      ['in', 1, 0],
    ])
    expect(Number(read[0]?.[2]) + Number(read[1]?.[2])).toBe(3)
    expect(isNothing(plan)).toBe(false)
    expect(await planReset(request(bench))).toEqual(plan)
    await bench.produce('in', [record('a')], 2)
    await run(bench)
    expect(await sorted(bench)).toEqual(['a=1', 'a=2', 'a=3', 'b=1'])
  })

  test('of an application that never ran has nothing to do', async () => {
    await using bench = await opened([])
    expect(isNothing(await planReset(request(bench)))).toBe(true)
    await reset(bench)
    await run(bench)
  })

  test('to the end leaves out what is there, and forgets what was counted', async () => {
    await using bench = await opened([record('a'), record('a')])
    await run(bench)
    await bench.produce('in', [record('a')], 2)
    await reset(bench, { to: { kind: 'latest' } })
    await bench.produce('in', [record('a')], 2)
    await run(bench)
    expect(await sorted(bench)).toEqual(['a=1', 'a=1', 'a=2'])
  })

  test('to a time begins with what came then', async () => {
    await using bench = await opened([10, 20, 30].map((timestamp) => record('a', timestamp)))
    await run(bench)
    await reset(bench, { to: { kind: 'time', timestampMs: 20 } })
    await run(bench)
    expect((await bench.texts('out')).slice(3)).toEqual(['a=1', 'a=2'])
  })

  test('is refused while the application runs, in this process or in a group', async () => {
    await using bench = await opened([])
    await using app = bench.app(counting())
    await app.start()
    await expect(planReset(request(bench))).rejects.toMatchObject({ code: 'MILLRACE_STATE_IN_USE' })
    await app.close()
    const plan = await planReset(request(bench))
    await using member = bench.app(counting(), { assignment: { kind: 'group' }, adopt: true })
    await member.start()
    const code = 'MILLRACE_GROUP_HAS_MEMBERS'
    await expect(planReset(request(bench))).rejects.toMatchObject({ code })
    await expect(applyReset(plan, request(bench))).rejects.toMatchObject({ code })
    await member.close()
    await reset(bench)
  })

  test('fences whoever could still commit for the application', async () => {
    await using bench = await opened([record('a')])
    await run(bench)
    await using zombie = bench.transport.openProducer({ transactionalId: 'app-0' })
    await zombie.init()
    await reset(bench)
    const at = {
      topic: asTopic('in'),
      partition: asPartition(0),
      offset: asOffset(0),
      metadata: '',
    }
    const group = { groupId: 'app', generation: -1, memberId: '' }
    await expect(
      zombie.sendOffsets([at], group).then(async () => await zombie.commit()),
    ).rejects.toMatchObject({ kind: 'fenced' })
  })

  test("leaves topics alone that are another application's, or may be", async () => {
    await using bench = await opened([record('a')])
    await run(bench)
    const others = ['app-2-x-changelog', 'app-old-repartition', 'app-news', 'apple-x-changelog']
    await bench.createTopics(others)
    const plan = await reset(bench)
    expect(plan.left).toEqual(['app-2-x-changelog', 'app-old-repartition'])
    expect(await topicNames(bench)).toEqual([...others, 'in', 'out'].toSorted())
    await reset(bench, { oldTopics: true })
    expect(await topicNames(bench)).toEqual(['app-news', 'apple-x-changelog', 'in', 'out'])
  })

  test('lets another topology have the folder', async () => {
    await using bench = await opened([record('a')])
    await run(bench)
    const changed = counting('other')
    await expect(run(bench, changed)).rejects.toMatchObject({ code: 'MILLRACE_STATE_FOREIGN' })
    await reset(bench, { topology: changed, oldTopics: true })
    await run(bench, changed)
    expect(await bench.texts('out')).toEqual(['a=1', 'a=1'])
  })
})

describe('a reset that was interrupted', () => {
  test.each(RESET.map(({ name }, i) => ({ name, steps: i + 1 })))(
    'after $name lets nobody count twice, and is completed by the next',
    async ({ steps }) => {
      await using bench = await opened([record('a'), record('a')])
      await run(bench)
      const asked = request(bench)
      await applyReset(await planReset(asked), asked, RESET.slice(0, steps))
      const outcome = await run(bench).then(
        () => 'ran',
        (error: unknown) => (isMillraceError(error) ? error.code : error),
      )
      const isHalf = steps > 1 && steps < 4
      expect(outcome).toBe(isHalf ? 'MILLRACE_OFFSETS_LOST' : 'ran')
      await reset(bench)
      const before = (await bench.texts('out')).length
      await run(bench)
      expect((await bench.texts('out')).slice(before)).toEqual(['a=1', 'a=2'])
    },
  )

  test('by a crash while a folder was deleted leaves nothing behind', async () => {
    await using bench = await opened([record('a')])
    await run(bench)
    const state = join(bench.folder, 'state', 'app')
    await rename(join(state, '0-of-2'), join(state, '0-of-2.removed'))
    await mkdir(join(state, '0-of-2'))
    await reset(bench)
    expect(await readdir(state)).toEqual([])
  })
})
