import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openLog } from '../../cli/open-log.ts'
import { resetCommand } from '../../cli/reset.ts'
import { asOffset, asPartition, asTopic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { folderWith, millrace, start, WORDS, type Ended } from './millrace.ts'

/** Puts words into the log, one second apart. */
async function send(folder: string, words: readonly string[]): Promise<void> {
  await using log = await openLog(join(folder, 'data'), { clock: systemClock() })
  const place = { topic: asTopic('words'), partition: asPartition(0) }
  const known = await log.transport.admin.describeTopics([place.topic])
  if (known.length === 0) {
    await log.transport.admin.createTopics([{ topic: place.topic, partitions: 1 }])
  }
  await using producer = log.transport.openProducer({})
  await producer.init()
  for (const [second, word] of words.entries()) {
    const bytes = Buffer.from(word)
    const record = { key: bytes, value: bytes, timestamp: second * 1000, headers: NO_HEADERS }
    producer.send({ ...place, ...record })
  }
  await producer.flush()
}

const RUN = ['run', 'words.ts', '--embedded', 'data', '--create-topics']

const runAll = async (folder: string): Promise<Ended> =>
  await millrace([...RUN, '--until-caught-up'], folder)

const reset = async (folder: string, ...more: readonly string[]): Promise<Ended> =>
  await millrace(['reset', 'words.ts', '--embedded', 'data', ...more], folder)

/** How many counts are in the log by now. */
async function counts(folder: string): Promise<number> {
  await using log = await openLog(join(folder, 'data'), { clock: systemClock() })
  const at = { topic: asTopic('word-counts'), partition: asPartition(0) }
  const [end] = await log.transport.admin.offsets([at], 'latest', 'read_committed')
  await using reader = log.transport.openReader({
    isolation: 'read_committed',
    prefetchBytes: 10_000,
  })
  const cursor = reader.open({ ...at, offset: asOffset(0) })
  let found = 0
  while (cursor.position < (end ?? 0)) {
    const batch = cursor.take()
    if (batch === undefined) await reader.ready()
    else found += batch.records.length
  }
  return found
}

describe.concurrent('reset', () => {
  test('shows what it would delete, asks, and begins anew where it is told to', async () => {
    await using folder = await folderWith({ 'words.ts': WORDS })
    await send(folder.path, ['a', 'b', 'a'])
    expect(await runAll(folder.path)).toMatchObject({ code: 0 })
    const shown = await reset(folder.path, '--dry-run')
    expect(shown).toMatchObject({ code: 0, stderr: '' })
    const state = join('data', 'state', 'words', '0-of-1')
    for (const part of ['words[0]@0  (read up to 3)', 'words-counts-changelog', state]) {
      expect(shown.stdout).toContain(part)
    }
    const unasked = await reset(folder.path)
    expect(unasked).toMatchObject({ code: 2, stdout: shown.stdout })
    expect(unasked.stderr).toContain('add --yes')
    expect(await reset(folder.path, '--yes')).toMatchObject({ code: 0 })
    expect(await runAll(folder.path)).toMatchObject({ code: 0 })
    expect(await counts(folder.path)).toBe(6)
    const timed = await reset(folder.path, '--yes', '--to', '1970-01-01T00:00:02Z', '--json')
    expect(timed.stdout.split('\n').map((line) => line && (JSON.parse(line) as object))).toEqual([
      expect.objectContaining({
        event: 'reset-plan',
        to: '1970-01-01T00:00:02.000Z',
        inputs: [{ topic: 'words', partition: 0, from: 3, to: 2 }],
      }),
      { event: 'reset', application: 'words' },
      '',
    ])
    expect(await runAll(folder.path)).toMatchObject({ code: 0 })
    expect(await counts(folder.path)).toBe(7)
  }, 60_000)

  test('is refused while the pipeline runs, and does nothing where there is nothing', async () => {
    await using folder = await folderWith({ 'words.ts': WORDS })
    await send(folder.path, [])
    const nothing = await reset(folder.path)
    expect(nothing).toMatchObject({ code: 0, stdout: 'words has nothing to forget\n' })
    const run = start(RUN, folder.path)
    await run.says(/the app is running/)
    const refused = await reset(folder.path, '--yes')
    expect(refused).toMatchObject({ code: 5, stdout: '' })
    expect(refused.stderr).toContain(`process ${run.child.pid}`)
    run.child.kill('SIGTERM')
    expect(await run.ended).toMatchObject({ code: 0 })
    const missing = await millrace(['reset', 'words.ts', '--embedded', 'none'], folder.path)
    expect(missing.stderr).toContain('there is no embedded log')
  }, 60_000)

  test('is what a pipeline is told to do whose stores have changed, and is enough', async () => {
    const changed = WORDS.replace("store: 'counts'", "store: 'tallies'")
    await using folder = await folderWith({ 'words.ts': WORDS, 'changed.ts': changed })
    await send(folder.path, ['a'])
    expect(await runAll(folder.path)).toMatchObject({ code: 0 })
    const run = ['run', 'changed.ts', '--embedded', 'data', '--until-caught-up']
    const refused = await millrace(run, folder.path)
    expect(refused.code).toBe(5)
    expect(refused.stderr).toContain('run `millrace reset`')
    const args = ['reset', 'changed.ts', '--embedded', 'data', '--yes', '--old-topics']
    const done = await millrace(args, folder.path)
    expect(done).toMatchObject({ code: 0 })
    expect(done.stdout).toContain('words-counts-changelog')
    expect(await millrace(run, folder.path)).toMatchObject({ code: 0 })
    expect(await counts(folder.path)).toBe(2)
  }, 60_000)

  test.each(['yesterday', '2026-01-31T08:00:00', '2026-13-01', '12'])(
    'does not guess what %s means',
    (where) => {
      const args = ['words.ts', '--embedded', 'data', '--to', where]
      expect(() => resetCommand.prepare(args)).toThrow(/--to takes earliest, latest or a time/)
    },
  )
})
