import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openLog } from '../../cli/open-log.ts'
import { asPartition, asTopic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { folderWith, millrace, start, WORDS } from './millrace.ts'

const TOPIC = asTopic('words')

/** Puts words into the log as a plain producer would, one a partition in turn. */
async function send(data: string, words: readonly string[]): Promise<void> {
  await using log = await openLog(data, { clock: systemClock() })
  const [known] = await log.transport.admin.describeTopics([TOPIC])
  if (known === undefined) {
    await log.transport.admin.createTopics([{ topic: TOPIC, partitions: 2 }])
  }
  await using producer = log.transport.openProducer({})
  await producer.init()
  for (const [at, word] of words.entries()) {
    const bytes = Buffer.from(word)
    const place = { topic: TOPIC, partition: asPartition(at % 2) }
    producer.send({ ...place, key: bytes, value: bytes, timestamp: at, headers: NO_HEADERS })
  }
  await producer.flush()
}

/** The keys of the counts that are in the log, in the order in which they were written. */
async function countedKeys(folder: string): Promise<readonly string[]> {
  const { stdout } = await millrace(['tail', 'word-counts', '--embedded', 'data', '--json'], folder)
  const lines = stdout.trimEnd().split('\n')
  return lines.map((line) => (JSON.parse(line) as { key: string }).key).sort()
}

const RUN = ['run', 'words.ts', '--embedded', 'data', '--create-topics']

describe('run', () => {
  test('does what is there, once, and goes on from there at the next run', async () => {
    await using folder = await folderWith({ 'words.ts': WORDS })
    const data = join(folder.path, 'data')
    await send(data, ['a', 'b', 'a', ''])
    const first = await millrace([...RUN, '--until-caught-up'], folder.path)
    expect(first).toMatchObject({ code: 0, stdout: '' })
    expect(first.stderr).toContain('made the topics word-counts')
    expect(await countedKeys(folder.path)).toEqual(['a', 'a', 'b'])
    await send(data, ['c'])
    expect(await millrace([...RUN, '--until-caught-up'], folder.path)).toMatchObject({ code: 0 })
    expect(await countedKeys(folder.path)).toEqual(['a', 'a', 'b', 'c'])
  })

  test.runIf(process.platform === 'linux').each([
    ['--state', ['--embedded', 'data', '--state', '/proc/millrace'], 'MILLRACE_STATE_UNWRITABLE'],
    ['--embedded', ['--embedded', '/proc/millrace'], 'MILLRACE_LOG_'],
  ])('says at once that the folder of %s cannot be made', async (_, options, code) => {
    await using folder = await folderWith({ 'words.ts': WORDS })
    const ended = await millrace(['run', 'words.ts', ...options, '--create-topics'], folder.path)
    expect(ended.code).not.toBe(0)
    expect(ended.stderr).toContain(code)
    expect(ended.stderr).toContain('/proc/millrace')
  })

  test.each(['SIGTERM', 'SIGINT'] as const)('commits and ends well at %s', async (signal) => {
    await using folder = await folderWith({ 'words.ts': WORDS })
    await send(join(folder.path, 'data'), ['a', 'b'])
    const run = start(RUN, folder.path)
    await run.says(/the app is running/)
    run.child.kill(signal)
    const { code, stderr } = await run.ended
    expect(code).toBe(0)
    expect(stderr).toContain('the app is stopped')
  })

  test('takes over its share alone', async () => {
    await using folder = await folderWith({ 'words.ts': WORDS })
    await send(join(folder.path, 'data'), ['a', 'b', 'c', 'd'])
    const share = [...RUN, '--until-caught-up', '--partition', '1']
    expect(await millrace(share, folder.path)).toMatchObject({ code: 0 })
    expect(await countedKeys(folder.path)).toEqual(['b', 'd'])
  })

  test('names the topics that are missing where it may not make them', async () => {
    await using folder = await folderWith({ 'words.ts': WORDS })
    const ended = await millrace(['run', 'words.ts', '--embedded', 'data'], folder.path)
    expect(ended.code).toBe(3)
    expect(ended.stderr).toContain('the topic words does not exist')
  })

  test('ends with its own code where a function of the pipeline throws', async () => {
    const throwing = WORDS.replace("value !== ''", "JSON.parse(value) !== ''")
    await using folder = await folderWith({ 'words.ts': throwing })
    await send(join(folder.path, 'data'), ['"a"', 'not json'])
    const ended = await millrace([...RUN, '--until-caught-up'], folder.path)
    expect(ended.stderr).toContain('[MILLRACE_PROCESSING_FAILED]')
    expect(ended.stderr).toContain('words[1]@0')
    expect(ended.stderr).toContain('--on-error skip')
    expect(ended.code).toBe(6)
  })

  test('sets records aside that fail, where it is told to', async () => {
    const throwing = WORDS.replace("value !== ''", "JSON.parse(value) !== ''")
    await using folder = await folderWith({ 'words.ts': throwing })
    await send(join(folder.path, 'data'), ['"a"', 'not json'])
    const args = ['--until-caught-up', '--on-error', 'dead-letter', '--dead-letters', 'failed']
    expect(await millrace([...RUN, ...args], folder.path)).toMatchObject({ code: 0 })
    const { stdout } = await millrace(['tail', 'failed', '--embedded', 'data'], folder.path)
    expect(stdout).toContain('not json')
  })

  test('refuses to set records aside without a place', async () => {
    await using folder = await folderWith({ 'words.ts': WORDS })
    const ended = await millrace([...RUN, '--on-error', 'dead-letter'], folder.path)
    expect(ended.code).toBe(2)
    expect(ended.stderr).toContain('--on-error dead-letter needs --dead-letters NAME')
  })
})
