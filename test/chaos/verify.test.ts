import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { sleep } from '../../model/clock.ts'
import type { Topic } from '../../model/position.ts'
import { streams } from '../../runtime/app.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { memoryRegistry } from '../../serdes/memory-registry.ts'
import { SeededRandom } from '../../testing/seeded-random.ts'
import { memoryLog } from '../../transport/memory/memory-log.ts'
import { compare } from './compare.ts'
import { Feeder } from './feeder.ts'
import { chaosPipeline } from './pipeline.ts'
import { TopicReading, type ReadRecord } from './read-topics.ts'
import { INPUT, OUTPUT, PARTITIONS, TOPICS } from './shape.ts'
import { verify, type Written } from './verify.ts'

const clock = systemClock()
const folder = await mkdtemp(join(tmpdir(), 'millrace-verify-'))
afterAll(() => rm(folder, { recursive: true, force: true }))

let written: Written

/** A run in this process that nobody disturbs. */
beforeAll(async () => {
  const [log, registry] = [memoryLog({ clock }), memoryRegistry()]
  await log.admin.createTopics(TOPICS.map((topic) => ({ topic, partitions: PARTITIONS })))
  const feeder = await Feeder.open({
    openLog: async () => log.connect(),
    isHolder: async () => false,
    registry,
    clock,
    random: new SeededRandom(1),
  })
  const feeding = feeder.run()
  while (feeder.fed.chunks === 0) await sleep(clock, 1)
  feeder.stop()
  await feeding
  const state = { kind: 'folder', folder: join(folder, 'state') } as const
  await using app = streams(chaosPipeline(), { transport: log, registry, clock, state })
  await app.start()
  await app.caughtUp()
  await app.close()
  await using reading = new TopicReading(log, clock, TOPICS)
  await reading.readOn()
  written = { fed: feeder.fed, of: (topic) => reading.of(topic), registry }
})

/** The same run with the fullest partition of a topic changed. */
function damaged(
  topic: Topic,
  damage: (records: readonly ReadRecord[]) => readonly ReadRecord[],
): Written {
  const partitions = written.of(topic)
  const fullest = partitions.reduce((most, each) => (each.length > most.length ? each : most))
  const changed = partitions.map((each) => (each === fullest ? damage(each) : each))
  return { ...written, of: (each) => (each === topic ? changed : written.of(each)) }
}

async function faultsOf(run: Written): Promise<readonly string[]> {
  const violations = await verify(run)
  return [...new Set(violations.map(({ place, fault }) => `${place.split(/[[ ]/)[0]}: ${fault}`))]
}

const OUTPUTS = Object.values(OUTPUT)

describe('the verifier', () => {
  test('finds nothing in a run that nobody disturbed, and every output has records', async () => {
    expect(await verify(written)).toEqual([])
    for (const topic of TOPICS) expect(written.of(topic).flat().length, topic).toBeGreaterThan(20)
  })

  test.each(OUTPUTS)('finds a record of %s that is lost', async (topic) => {
    const run = damaged(topic, (records) => records.toSpliced(3, 1))
    expect(await faultsOf(run)).toEqual([`${topic}: lost`])
  })

  test.each(OUTPUTS)('finds a record of %s that is there twice', async (topic) => {
    const run = damaged(topic, (records) => [...records, ...records.slice(3, 4)])
    expect(await faultsOf(run)).toEqual([`${topic}: doubled`])
  })

  test.each(OUTPUTS)('finds records of %s that are out of order', async (topic) => {
    const run = damaged(topic, (records) => records.toReversed())
    expect(await faultsOf(run)).toEqual([`${topic}: out of order`])
  })

  test('finds a value that is another one', async () => {
    const run = damaged(OUTPUT.sums, ([first, ...rest]) =>
      first === undefined ? [] : [{ ...first, value: Buffer.from('7') }, ...rest],
    )
    expect(await faultsOf(run)).toEqual(['sums: lost', 'sums: unexpected'])
  })

  test('finds that a chunk’s bytes are not those that were written', async () => {
    const run = damaged(INPUT.chunks, ([first, ...rest]) => {
      if (first === undefined) return []
      const value = Buffer.from(first.value)
      value.writeUInt8(value.readUInt8(value.length - 1) ^ 1, value.length - 1)
      return [{ ...first, value }, ...rest]
    })
    expect(await faultsOf(run)).toEqual([
      'videos.raw: lost',
      'videos.raw: unexpected',
      'videos.joined: lost',
      'videos.joined: unexpected',
    ])
  })

  test.each([INPUT.numbers, INPUT.left, INPUT.right, INPUT.chunks])(
    'finds a record of %s that the feeder had written and that is not there',
    async (topic) => {
      const run = damaged(topic, (records) => records.slice(0, -1))
      expect(await faultsOf(run)).toContain(`${topic}: lost`)
    },
  )
})

test('two sequences are compared as bags first, and in order where those are equal', () => {
  const came = (texts: string): { text: string; offset: number }[] =>
    texts.split('').map((text, offset) => ({ text, offset }))
  expect(compare('p', 'abc'.split(''), came('abc'))).toEqual([])
  expect(compare('p', 'aab'.split(''), came('ab'))).toMatchObject([
    { fault: 'lost', examples: ['a'] },
  ])
  expect(compare('p', 'abc'.split(''), came('abxcb'))).toMatchObject([
    { fault: 'doubled', count: 1, examples: ['b @4'] },
    { fault: 'unexpected', count: 1, examples: ['x @2'] },
  ])
  expect(compare('p', 'abc'.split(''), came('acb'))).toMatchObject([
    {
      fault: 'out of order',
      count: 2,
      examples: ['c @1 in the place of b', 'b @2 in the place of c'],
    },
  ])
})
