import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { asPartition, asTopic } from '../../model/position.ts'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import { EmbeddedTransport } from '../../transport/embedded/embedded-transport.ts'
import { Bench } from './fixtures.ts'

const CHANGELOG = asTopic('words-counts-changelog')
const KEYS = ['a', 'b', 'c', 'd', 'e']
const ROUNDS = 20

const wordCount = () =>
  topology('words', ({ stream }) => {
    stream('in', { key: text, value: text })
      .groupByKey()
      .count({ store: 'counts' })
      .toStream()
      .mapValues(String)
      .to('out', { value: text })
  })

test('a store that is lost comes back from a changelog of which compaction left one record a key', async () => {
  await using bench = await Bench.open()
  await bench.createTopics(['in', 'out'])
  const first = bench.app(wordCount())
  await first.start()
  // Each round is a transaction of its own, so that the changelog has every count.
  for (let round = 0; round < ROUNDS; round += 1) {
    await bench.produce(
      'in',
      KEYS.map((key) => ({ key, value: String(round) })),
    )
    await first.caughtUp()
  }
  await first.close()
  const full = (await bench.read(CHANGELOG)).length
  expect(full).toBeGreaterThan(KEYS.length)

  await compact(bench)
  expect(await bench.texts(CHANGELOG)).toHaveLength(KEYS.length)
  const folder = join(bench.folder, 'log', 'topics', CHANGELOG, '0')
  expect((await readdir(folder)).some((name) => name.includes('-1.log'))).toBe(true)
  const [end] = await bench.transport.admin.offsets([AT], 'latest', 'read_uncommitted')
  expect(end).toBeGreaterThanOrEqual(full)

  await rm(join(bench.folder, 'state'), { recursive: true })
  await bench.produce(
    'in',
    KEYS.map((key) => ({ key, value: 'more' })),
  )
  const second = bench.app(wordCount())
  await second.start()
  await second.caughtUp()
  expect((await bench.texts('out')).slice(-KEYS.length)).toEqual(
    KEYS.map((key) => `${key}=${ROUNDS + 1}`),
  )
  await second.close()
})

const AT = { topic: CHANGELOG, partition: asPartition(0) }

async function compact({ transport }: Bench): Promise<void> {
  if (!(transport instanceof EmbeddedTransport)) throw new TypeError('another log was opened')
  await transport.compact(AT)
}
