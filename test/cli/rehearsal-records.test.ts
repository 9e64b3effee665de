import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openLog, type OpenLog } from '../../cli/open-log.ts'
import { asPartition, asTopic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { avro } from '../../serdes/avro.ts'
import { folderWith, millrace, start, WORDS } from './millrace.ts'

const CLICKS = asTopic('clicks')
const Click = { type: 'record', name: 'Click', fields: [{ name: 'url', type: 'string' }] } as const

/** A pipeline over Avro: the urls of clicks. */
const URLS = `import { avro, text, topology } from 'millrace'
const Click = ${JSON.stringify(Click)} as const
export default topology('urls', ({ stream }) => {
  stream('clicks', { key: text, value: avro(Click) })
    .mapValues(({ url }) => url)
    .to('urls', { value: text })
})
`

/** Three clicks; `bad` makes the record in their middle from a good one. */
async function sendClicks(
  { transport, registry }: OpenLog,
  bad: (good: Sent) => Sent,
): Promise<void> {
  const serde = await avro(Click).open({ topic: CLICKS, role: 'value', registry })
  await transport.admin.createTopics([{ topic: CLICKS, partitions: 1 }])
  await using producer = transport.openProducer({})
  await producer.init()
  const click = (url: string): Sent => ({ value: serde.serialize({ url }), timestamp: 1 })
  for (const { value, timestamp } of [click('/first'), bad(click('/bad')), click('/last')]) {
    const place = { topic: CLICKS, partition: asPartition(0) }
    producer.send({ ...place, key: Buffer.from('k'), value, timestamp, headers: NO_HEADERS })
  }
  await producer.flush()
}

interface Sent {
  readonly value: Buffer
  readonly timestamp: number
}

const RUN = ['run', 'urls.ts', '--embedded', 'data', '--create-topics', '--until-caught-up']

describe.concurrent('a record that', () => {
  const BAD: readonly [string, (good: Sent) => Sent, RegExp][] = [
    [
      'ends in the middle of its Avro',
      ({ value }) => ({ value: value.subarray(0, -2), timestamp: 1 }),
      /clicks\[0\]@1/,
    ],
    [
      'is no Avro at all',
      () => ({ value: Buffer.from('{"url":"/json"}'), timestamp: 1 }),
      /clicks\[0\]@1/,
    ],
    [
      'names a schema that nobody registered',
      ({ value }) => ({ value: withSchemaId(value, 999), timestamp: 1 }),
      /clicks\[0\]@1.*999/,
    ],
    [
      'has a timestamp below zero',
      ({ value }) => ({ value, timestamp: -1 }),
      /clicks\[0\]@1.*timestamp is -1/,
    ],
  ]

  test.each(BAD)(
    '%s stops the app and is named; the others come out once',
    async (_, bad, says) => {
      await using folder = await folderWith({ 'urls.ts': URLS })
      const data = join(folder.path, 'data')
      {
        await using log = await openLog(data, { clock: systemClock() })
        await sendClicks(log, bad)
      }
      const first = await millrace(RUN, folder.path)
      expect(first.stderr).toMatch(/^millrace: .*\[MILLRACE_RECORD_UNREADABLE\]$/m)
      expect(first.stderr).toMatch(says)
      expect(first).toMatchObject({ code: 6, stdout: '' })
      // Again, with the same end: the record is not left out in silence.
      expect(await millrace(RUN, folder.path)).toMatchObject({ code: 6 })
      const skipping = await millrace([...RUN, '--on-error', 'skip'], folder.path)
      expect(skipping).toMatchObject({ code: 0 })
      expect(skipping.stderr).toMatch(/left out clicks\[0\]@1/)
      expect(await urls(folder.path)).toEqual(['/first', '/last'])
    },
  )

  test('is larger than its topic takes stops the app, and the output holds nothing of it', async () => {
    const long = URLS.replace('=> url', "=> url === '/bad' ? url.repeat(1e6) : url")
    await using folder = await folderWith({ 'urls.ts': long })
    {
      await using log = await openLog(join(folder.path, 'data'), { clock: systemClock() })
      await sendClicks(log, (good) => good)
      const config = { 'max.message.bytes': '100000' }
      await log.transport.admin.createTopics([{ topic: asTopic('urls'), partitions: 1, config }])
    }
    const ended = await millrace(RUN, folder.path)
    expect(ended.stderr).toMatch(/^millrace: .*urls.*\[MILLRACE_RECORD_TOO_LARGE\]$/m)
    expect(ended).toMatchObject({ code: 6, stdout: '' })
    await writeFile(join(folder.path, 'urls.ts'), URLS)
    expect(await millrace(RUN, folder.path)).toMatchObject({ code: 0 })
    expect(await urls(folder.path)).toEqual(['/first', '/bad', '/last'])
  })
})

function withSchemaId(value: Buffer, id: number): Buffer {
  const changed = Buffer.from(value)
  changed.writeInt32BE(id, 1)
  return changed
}

async function urls(folder: string): Promise<readonly string[]> {
  const args = ['tail', 'urls', '--embedded', 'data', '--json']
  const { stdout } = await millrace(args, folder)
  const lines = stdout.trimEnd().split('\n')
  return lines.map((line) => (JSON.parse(line) as { value: string }).value)
}

describe.concurrent('a folder of state', () => {
  const WORDS_RUN = ['run', 'words.ts', '--embedded', 'data', '--create-topics']

  test('that cannot be made ends the run and touches nothing', async () => {
    await using folder = await folderWith({ 'words.ts': WORDS, file: 'x' })
    await makeWords(join(folder.path, 'data'))
    const ended = await millrace([...WORDS_RUN, '--state', 'file/state'], folder.path)
    expect(ended.stderr).toMatch(/^millrace: .*\[MILLRACE_STATE_UNWRITABLE\]$/m)
    expect(ended).toMatchObject({ code: 5, stdout: '' })
    const args = [...WORDS_RUN, '--until-caught-up']
    expect(await millrace(args, folder.path)).toMatchObject({ code: 0 })
  })

  test('of another topology is refused and left as it is', async () => {
    await using folder = await folderWith({ 'words.ts': WORDS })
    await makeWords(join(folder.path, 'data'))
    const args = [...WORDS_RUN, '--until-caught-up', '--state', 'state']
    expect(await millrace(args, folder.path)).toMatchObject({ code: 0 })
    await writeFile(join(folder.path, 'words.ts'), WORDS.replace("'counts'", "'other'"))
    const ended = await millrace(args, folder.path)
    expect(ended.stderr).toMatch(/^millrace: .*words.*topology.*\[MILLRACE_STATE_FOREIGN\]$/m)
    expect(ended).toMatchObject({ code: 5, stdout: '' })
    await writeFile(join(folder.path, 'words.ts'), WORDS)
    expect(await millrace(args, folder.path)).toMatchObject({ code: 0 })
  })

  test('of another application stands beside that of this one', async () => {
    await using folder = await folderWith({ 'words.ts': WORDS })
    await makeWords(join(folder.path, 'data'))
    const args = [...WORDS_RUN, '--until-caught-up', '--state', 'state']
    expect(await millrace(args, folder.path)).toMatchObject({ code: 0 })
    const other = await millrace([...args, '--application', 'other'], folder.path)
    expect(other).toMatchObject({ code: 0 })
    expect(await millrace(args, folder.path)).toMatchObject({ code: 0 })
    expect((await readdir(join(folder.path, 'state'))).toSorted()).toEqual(['other', 'words'])
  })

  test('that is in use by another process is refused with its holder named', async () => {
    await using folder = await folderWith({ 'words.ts': WORDS })
    await makeWords(join(folder.path, 'data'))
    await makeWords(join(folder.path, 'second'))
    const holder = start([...WORDS_RUN, '--state', 'state'], folder.path)
    await holder.says(/the app is running/)
    const args = ['run', 'words.ts', '--embedded', 'second', '--create-topics', '--state', 'state']
    const ended = await millrace(args, folder.path)
    holder.child.kill('SIGTERM')
    expect(ended.stderr).toMatch(/^millrace: .*\[MILLRACE_STATE_IN_USE\]$/m)
    expect(ended.stderr).toContain(String(holder.child.pid))
    expect(ended.code).toBe(5)
    expect(await holder.ended).toMatchObject({ code: 0 })
  })
})

async function makeWords(path: string): Promise<void> {
  await using log = await openLog(path, { clock: systemClock() })
  const topic = asTopic('words')
  await log.transport.admin.createTopics([{ topic, partitions: 1 }])
  await using producer = log.transport.openProducer({})
  await producer.init()
  const word = Buffer.from('word')
  const place = { topic, partition: asPartition(0) }
  producer.send({ ...place, key: word, value: word, timestamp: 1, headers: NO_HEADERS })
  await producer.flush()
}
