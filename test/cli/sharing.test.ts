import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openLog, type OpenLog } from '../../cli/open-log.ts'
import { asOffset, asPartition, asTopic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { avro } from '../../serdes/avro.ts'
import { prepareFolder, readHolder } from '../../transport/embedded/log-folder.ts'
import { folderWith, millrace, start, WORDS } from './millrace.ts'

const WORD_TOPIC = asTopic('words')
const COUNTS = asTopic('word-counts')
const clock = systemClock()

async function makeTopics({ transport }: OpenLog): Promise<void> {
  await transport.admin.createTopics([
    { topic: WORD_TOPIC, partitions: 2 },
    { topic: COUNTS, partitions: 2 },
  ])
}

/** One record for each partition, a word of its own in each. */
async function sendWords({ transport }: OpenLog, times: number): Promise<void> {
  await using producer = transport.openProducer({})
  await producer.init()
  for (let time = 0; time < times; time += 1) {
    for (const partition of [0, 1]) {
      const place = { topic: WORD_TOPIC, partition: asPartition(partition) }
      const word = Buffer.from(`word-${partition}`)
      producer.send({ ...place, key: word, value: word, timestamp: 1, headers: NO_HEADERS })
    }
  }
  await producer.flush()
}

/** Reads the counts of a partition until the last one is `count`; returns all of them. */
async function countsUntil(
  { transport }: OpenLog,
  partition: number,
  count: number,
): Promise<readonly number[]> {
  await using reader = transport.openReader({ isolation: 'read_committed', prefetchBytes: 10_000 })
  const at = { topic: COUNTS, partition: asPartition(partition), offset: asOffset(0) }
  const cursor = reader.open(at)
  const counts: number[] = []
  while (counts.at(-1) !== count) {
    const batch = cursor.take()
    if (batch === undefined) await reader.ready(AbortSignal.timeout(30_000))
    for (const { value } of batch?.records ?? []) counts.push(Number(value?.readBigInt64BE(0)))
  }
  return counts
}

function upTo(last: number): readonly number[] {
  return Array.from({ length: last }, (_, index) => index + 1)
}

describe.concurrent('several commands over one log', () => {
  test('two runs share its partitions; when the one that holds it is killed, nothing is lost or doubled', async () => {
    await using folder = await folderWith({ 'words.ts': WORDS })
    const data = join(folder.path, 'data')
    {
      await using made = await openLog(data, { clock })
      await makeTopics(made)
    }
    const run = (partition: number) =>
      start(['run', 'words.ts', '--embedded', 'data', '--partition', `${partition}`], folder.path)
    const runs = [run(0), run(1)]
    await Promise.all(runs.map((each) => each.says(/the app is running/)))
    await using log = await openLog(data, { clock })
    await sendWords(log, 50)
    for (const partition of [0, 1]) {
      expect(await countsUntil(log, partition, 50)).toEqual(upTo(50))
    }
    const holder = await readHolder(await prepareFolder(data))
    const held = runs.findIndex(({ child }) => child.pid === holder?.pid)
    expect(held, 'one of the runs holds the log').toBeGreaterThanOrEqual(0)
    runs[held]?.child.kill('SIGKILL')
    await runs[held]?.ended
    await sendWords(log, 50)
    expect(await countsUntil(log, 1 - held, 100)).toEqual(upTo(100))
    runs[held] = run(held)
    expect(await countsUntil(log, held, 100)).toEqual(upTo(100))
    for (const { child } of runs) child.kill('SIGTERM')
    for (const { ended } of runs) expect(await ended).toMatchObject({ code: 0 })
  })

  test('runs of one group share its tasks; when the one that holds the log is killed, the others go on with all of them', async () => {
    await using folder = await folderWith({ 'words.ts': WORDS })
    const data = join(folder.path, 'data')
    {
      await using made = await openLog(data, { clock })
      await makeTopics(made)
    }
    const args = ['run', 'words.ts', '--embedded', 'data', '--group']
    const runs = [start(args, folder.path), start(args, folder.path)]
    await Promise.all(runs.map((each) => each.says(/the app is running/)))
    await using log = await openLog(data, { clock })
    for (let round = 1; round <= 3; round += 1) {
      await sendWords(log, 20)
      for (const partition of [0, 1]) {
        expect(await countsUntil(log, partition, round * 20)).toEqual(upTo(round * 20))
      }
      const holder = await readHolder(await prepareFolder(data))
      const held = runs.findIndex(({ child }) => child.pid === holder?.pid)
      if (held < 0) continue
      runs[held]?.child.kill('SIGKILL')
      await runs[held]?.ended
      runs[held] = start(args, folder.path)
    }
    // One that was only just started does not yet listen for signals.
    await Promise.all(runs.map((each) => each.says(/the app is running/)))
    for (const { child } of runs) child.kill('SIGTERM')
    for (const { ended } of runs) expect(await ended).toMatchObject({ code: 0 })
  })

  test('of two runs with one instance id the newer goes on, and the older ends with an exit code of its own', async () => {
    await using folder = await folderWith({ 'words.ts': WORDS })
    const data = join(folder.path, 'data')
    await using log = await openLog(data, { clock })
    await makeTopics(log)
    const args = ['run', 'words.ts', '--embedded', 'data', '--group', '--instance', 'a']
    const older = start([...args, '--state', 'sa'], folder.path)
    await older.says(/runs 0_0, 0_1/)
    await sendWords(log, 10)
    for (const partition of [0, 1]) await countsUntil(log, partition, 10)
    const newer = start([...args, '--state', 'sb'], folder.path)
    await newer.says(/runs 0_0, 0_1/)
    const ended = await older.ended
    expect(ended, ended.stderr).toMatchObject({ code: 4 })
    expect(ended.stderr).toMatch(/instance id of its own.*MILLRACE_GROUP_INSTANCE_FENCED/)
    await sendWords(log, 10)
    for (const partition of [0, 1]) {
      expect(await countsUntil(log, partition, 20)).toEqual(upTo(20))
    }
    newer.child.kill('SIGTERM')
    const stopped = await newer.ended
    expect(stopped).toMatchObject({ code: 0 })
    expect(stopped.stderr).not.toContain('starts over')
  })

  test('tail shows beside a run what comes, and goes on when the run that holds the log stops', async () => {
    await using folder = await folderWith({ 'words.ts': WORDS })
    const data = join(folder.path, 'data')
    {
      await using made = await openLog(data, { clock })
      await makeTopics(made)
      await sendWords(made, 1)
    }
    const run = start(['run', 'words.ts', '--embedded', 'data'], folder.path)
    await run.says(/the app is running/)
    const tail = start(['tail', 'words', '--embedded', 'data', '--follow'], folder.path)
    await tail.says(/words\[1\]@0/)
    run.child.kill('SIGTERM')
    expect(await run.ended).toMatchObject({ code: 0 })
    await using log = await openLog(data, { clock })
    await sendWords(log, 1)
    await tail.says(/words\[1\]@1/)
    tail.child.kill('SIGINT')
    expect(await tail.ended).toMatchObject({ code: 0 })
  })

  test('schemas that two register at once get ids that all of them know', async () => {
    await using folder = await folderWith()
    const opened = await Promise.all(
      [1, 2, 3].map(() => openLog(join(folder.path, 'data'), { clock })),
    )
    const schema = (field: string) =>
      avro({ type: 'record', name: 'Word', fields: [{ name: field, type: 'string' }] })
    const written = await Promise.all(
      opened.flatMap(({ registry }) =>
        ['a', 'b', 'c', 'd'].map(async (field) => {
          const serde = await schema(field).open({ topic: WORD_TOPIC, role: 'value', registry })
          return serde.serialize({ [field]: field }).readUInt32BE(1)
        }),
      ),
    )
    const ids = new Set(written)
    expect(ids.size).toBe(4)
    for (const { registry } of opened) {
      for (const id of ids) expect(await registry.schemaById(id)).toContain('"Word"')
    }
    for (const log of opened) await log[Symbol.asyncDispose]()
  })

  test('a log that is held alone is refused with its holder named', async () => {
    await using folder = await folderWith()
    const data = join(folder.path, 'data')
    await using log = await openLog(data, { clock, isAlone: true })
    await makeTopics(log)
    const ended = await millrace(['tail', 'words', '--embedded', data])
    expect(ended).toMatchObject({ code: 5, stdout: '' })
    expect(ended.stderr).toMatch(/^millrace: .*\[MILLRACE_LOG_IN_USE\]$/m)
    expect(ended.stderr).toContain(String(process.pid))
  })
})
