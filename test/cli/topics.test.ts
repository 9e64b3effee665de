import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openLog } from '../../cli/open-log.ts'
import { asTopic } from '../../model/position.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import type { NewTopic } from '../../transport/transport.ts'
import { folderWith, millrace, WORDS } from './millrace.ts'

/** Makes an embedded log with these topics. */
async function makeTopics(folder: string, topics: readonly NewTopic[]): Promise<void> {
  await using log = await openLog(join(folder, 'data'), { clock: systemClock() })
  await log.transport.admin.createTopics(topics)
}

const TOPICS = ['topics', 'words.ts', '--embedded', 'data']
const REPARTITIONED = WORDS.replace(
  '.groupByKey()',
  '.groupBy(({ value }) => value, { key: text, value: text })',
)

describe('topics', () => {
  test('shows what a pipeline needs, and that people have to make some of it', async () => {
    await using folder = await folderWith({ 'words.ts': WORDS })
    await makeTopics(folder.path, [{ topic: asTopic('words'), partitions: 3 }])
    const { code, stdout, stderr } = await millrace(TOPICS, folder.path)
    expect({ code, stderr }).toEqual({ code: 7, stderr: '' })
    expect(stdout.trimEnd().split('\n')).toEqual([
      'ok       words                   source       3 partitions, delete',
      'missing  word-counts             sink         3 partitions, delete',
      'missing  words-counts-changelog  changelog    3 partitions, compact',
    ])
  })

  test('makes what is missing, which a run then finds as it needs it', async () => {
    await using folder = await folderWith({ 'words.ts': REPARTITIONED })
    const args = [...TOPICS, '--create', '--partitions', '2', '--dead-letters', 'failed']
    const made = await millrace(args, folder.path)
    expect(made.code).toBe(0)
    const again = await millrace([...args, '--json'], folder.path)
    expect(again.code).toBe(0)
    const said = again.stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(said.filter(({ event }) => event === 'topic')).toMatchObject([
      { topic: 'words', role: 'source', state: 'ok', partitions: 2 },
      { topic: 'word-counts', role: 'sink', state: 'ok', partitions: 2 },
      { topic: 'words-counts-repartition', role: 'repartition', state: 'ok', partitions: 2 },
      { topic: 'words-counts-changelog', role: 'changelog', state: 'ok', partitions: 2 },
      { topic: 'failed', role: 'dead letters', state: 'ok', partitions: 1 },
    ])
    const run = ['run', 'words.ts', '--embedded', 'data', '--until-caught-up']
    expect(await millrace(run, folder.path)).toMatchObject({ code: 0 })
  })

  test('says what is there and does not fit', async () => {
    await using folder = await folderWith({ 'words.ts': WORDS })
    await makeTopics(folder.path, [
      { topic: asTopic('words'), partitions: 2, config: { 'max.message.bytes': '2000000' } },
      { topic: asTopic('word-counts'), partitions: 2, config: { 'max.message.bytes': '1000000' } },
      {
        topic: asTopic('words-counts-changelog'),
        partitions: 1,
        config: { 'max.message.bytes': '1000', 'cleanup.policy': 'delete' },
      },
    ])
    const { code, stdout } = await millrace([...TOPICS, '--chunk', '10MiB'], folder.path)
    expect(code).toBe(7)
    expect(stdout.trimEnd().split('\n')).toEqual([
      'differs  words                   source       2 partitions, delete, records up to 1.9 MiB',
      '         max.message.bytes is 2000000 and has to be 10551296 or more',
      'ok       word-counts             sink         2 partitions, delete, records up to 976.6 KiB',
      '         max.message.bytes is 1000000, below that of words: where values go there whole, raise it to 2000000',
      'differs  words-counts-changelog  changelog    1 partition, delete, records up to 1000 B',
      '         it has 1 partition, and its sources ask for 2; state is bound to the old number: run `millrace reset`, or take another --application',
      '         cleanup.policy is delete and has to be compact',
      '         max.message.bytes is 1000 and has to be 10616832 or more',
    ])
  })

  test('makes the topics of videos as an ingest does, for chunks as large as it is told', async () => {
    const video = `import { Chunk, ChunkKey, avro, topology } from 'millrace'
export default topology('copy', ({ stream }) => {
  const raw = { key: avro(ChunkKey), value: avro(Chunk), partitionBy: (key) => key.videoId }
  stream('videos.raw', raw).to('copies')
})
`
    await using folder = await folderWith({ 'copy.ts': video })
    const args = ['topics', 'copy.ts', '--embedded', 'data', '--create', '--chunk', '10MiB']
    expect(await millrace(args, folder.path)).toMatchObject({ code: 0 })
    await using log = await openLog(join(folder.path, 'data'), { clock: systemClock() })
    const made = await log.transport.admin.describeTopics()
    const limit = String(10 * 2 ** 20 + 64 * 2 ** 10)
    const config = { 'cleanup.policy': 'delete', 'max.message.bytes': limit }
    expect(made.toSorted((a, b) => a.topic.localeCompare(b.topic))).toMatchObject([
      { topic: 'copies', config },
      { topic: 'videos.raw', config: { ...config, 'retention.ms': '-1' } },
    ])
  })

  test('asks for the topic of dead letters that a run of the pipeline needs', async () => {
    const pipeline = join(import.meta.dirname, '../../examples/2-ask-a-service.pipeline.ts')
    await using folder = await folderWith()
    const place = [pipeline, '--embedded', 'data']
    const shown = await millrace(['topics', ...place, '--create'], folder.path)
    expect(shown.code).toBe(7)
    expect(shown.stdout).toContain(
      'differs  price: it sends records to the dead-letter topic, and none is named: give --dead-letters NAME, here and to `millrace run`\n',
    )
    const refused = await millrace(['run', ...place, '--until-caught-up'], folder.path)
    expect(refused).toMatchObject({ code: 3 })
    expect(refused.stderr).toContain('name the topic with --dead-letters NAME.')
    const letters = ['--dead-letters', 'failed']
    const named = await millrace(['topics', ...place, '--create', ...letters], folder.path)
    expect(named).toMatchObject({ code: 0 })
    expect(named.stdout).toMatch(/^missing +failed +dead letters/m)
    expect(named.stdout).toContain('made failed\n')
    const run = ['run', ...place, ...letters, '--until-caught-up']
    expect(await millrace(run, folder.path)).toMatchObject({ code: 0 })
  })

  test('makes no log where it may make nothing', async () => {
    await using folder = await folderWith({ 'words.ts': WORDS })
    const { code, stderr } = await millrace(TOPICS, folder.path)
    expect(code).toBe(5)
    expect(stderr).toContain('there is no embedded log at data')
  })
})
