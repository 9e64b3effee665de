import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openLog, type OpenLog } from '../../cli/open-log.ts'
import { asPartition, asTopic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { avro } from '../../serdes/avro.ts'
import { folderWith, millrace, start, startFile } from './millrace.ts'

const Click = avro({
  type: 'record',
  name: 'Click',
  fields: [
    { name: 'url', type: 'string' },
    { name: 'picture', type: 'bytes' },
  ],
})
const CLICKS = asTopic('clicks')

let folder: Awaited<ReturnType<typeof folderWith>>
let data: string

beforeAll(async () => {
  folder = await folderWith()
  data = join(folder.path, 'data')
  await using log = await openLog(data, { clock: systemClock() })
  await log.transport.admin.createTopics([{ topic: CLICKS, partitions: 2 }])
  await sendClicks(log)
})

afterAll(async () => {
  await folder[Symbol.asyncDispose]()
})

async function sendClicks({ transport, registry }: OpenLog): Promise<void> {
  const serde = await Click.open({ topic: CLICKS, role: 'value', registry })
  await using producer = transport.openProducer({ transactionalId: 'clicks' })
  await producer.init()
  const send = (partition: number, key: string, value: Buffer | null): void => {
    const place = { topic: CLICKS, partition: asPartition(partition) }
    const bytes = Buffer.from(key)
    producer.send({
      ...place,
      key: bytes,
      value,
      timestamp: 1_700_000_000_000,
      headers: NO_HEADERS,
    })
  }
  send(0, 'a', serde.serialize({ url: '/a', picture: Buffer.alloc(2 ** 16, 7) }))
  send(0, 'b', null)
  send(1, 'c\u001b[2J', Buffer.from([0xff, 0xfe, 0x00]))
  send(1, 'd', Buffer.from('plain text'))
  await producer.flush()
  await producer.commit()
  send(1, 'aborted', Buffer.from('never seen'))
  await producer.flush()
  await producer.abort()
}

async function fill(path: string, records: number): Promise<void> {
  await using log = await openLog(path, { clock: systemClock() })
  await log.transport.admin.createTopics([{ topic: CLICKS, partitions: 1 }])
  await using producer = log.transport.openProducer({})
  await producer.init()
  const value = Buffer.from('plain text')
  const place = { topic: CLICKS, partition: asPartition(0) }
  for (let n = 0; n < records; n += 1) {
    producer.send({ ...place, key: null, value, timestamp: n, headers: NO_HEADERS })
  }
  await producer.flush()
}

describe('tail', () => {
  test('shows what is committed: Avro by its schema, text as text, other bytes as digits', async () => {
    const { code, stdout, stderr } = await millrace(['tail', 'clicks', '--embedded', data])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout.split('\n').sort()).toEqual([
      '',
      'clicks[0]@0  2023-11-14T22:13:20.000Z  a  ' +
        `{"url":"/a","picture":"0x${'07'.repeat(24)}… (64.0 KiB)"}`,
      'clicks[0]@1  2023-11-14T22:13:20.000Z  b  null',
      'clicks[1]@0  2023-11-14T22:13:20.000Z  0x631b5b324a  0xfffe00',
      'clicks[1]@1  2023-11-14T22:13:20.000Z  d  plain text',
    ])
  })

  test('writes JSON, from an offset, of one partition, no more than asked', async () => {
    const args = ['--partition', '0', '--from', '0', '--max', '1', '--json']
    const { code, stdout } = await millrace(['tail', 'clicks', '--embedded', data, ...args])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      event: 'record',
      topic: 'clicks',
      partition: 0,
      offset: 0,
      key: 'a',
      value: { url: '/a' },
    })
  })

  test('registers nothing', async () => {
    await using log = await openLog(data, { clock: systemClock() })
    await expect(log.registry.schemaById(2)).rejects.toMatchObject({
      code: 'MILLRACE_UNKNOWN_SCHEMA',
    })
  })

  test('names the topic that was probably meant', async () => {
    const { code, stderr } = await millrace(['tail', 'click', '--embedded', data])
    expect(code).toBe(3)
    expect(stderr).toContain("there is no topic 'click'; did you mean clicks?")
  })

  test('names the partitions that there are', async () => {
    const args = ['tail', 'clicks', '--embedded', data, '--partition', '2']
    const { code, stderr } = await millrace(args)
    expect(code).toBe(3)
    expect(stderr).toContain('clicks has no partition 2; it has 2, counted from 0')
  })

  test('makes no log where there is none', async () => {
    const missing = join(folder.path, 'missing')
    const { code, stderr } = await millrace(['tail', 'clicks', '--embedded', missing])
    expect(code).toBe(5)
    expect(stderr).toContain(`there is no embedded log at ${missing}`)
    expect(await readdir(folder.path)).not.toContain('missing')
  })

  test('ends without a complaint when its reader has enough', async () => {
    await using many = await folderWith()
    const log = join(many.path, 'many')
    await fill(log, 20_000)
    const run = start(['tail', 'clicks', '--embedded', log, '--follow'])
    await run.says(/@100 /)
    run.child.stdout.destroy()
    expect(await run.ended).toMatchObject({ code: 0, stderr: '' })
  })
})

describe.concurrent('ingest', () => {
  test.each([
    ['a missing file', 'gone.mp4', 'MILLRACE_FILE_MISSING'],
    ['an empty file', 'empty.mp4', 'MILLRACE_FILE_EMPTY'],
    ['a folder', 'folder.mp4', 'MILLRACE_FILE_NOT_REGULAR'],
    ['what is no video', 'text.mp4', 'MILLRACE_NOT_A_VIDEO'],
  ])('refuses %s with exit code 3 and writes no record', async (_, name, code) => {
    await using files = await folderWith({ 'empty.mp4': '', 'text.mp4': 'words '.repeat(1000) })
    await mkdir(join(files.path, 'folder.mp4'))
    const ended = await millrace(['ingest', name, '--embedded', 'log'], files.path)
    expect(ended.stderr).toContain(`[${code}]`)
    expect(ended.code).toBe(3)
    await using log = await openLog(join(files.path, 'log'), { clock: systemClock() })
    expect(await log.transport.admin.describeTopics()).toEqual([])
  })

  test('says that its folder cannot be made', async () => {
    await using files = await folderWith({ file: 'x', 'text.mp4': 'words' })
    const ended = await millrace(['ingest', 'text.mp4', '--embedded', 'file/log'], files.path)
    expect(ended.stderr).toContain('[MILLRACE_LOG_FOLDER]')
    expect(ended.code).toBe(5)
  })
})

describe.concurrent('annotator', () => {
  test('says where it listens, and ends well when it is stopped', async () => {
    const server = start(['annotator', '--port', '0', '--json'])
    await server.says(/"endpoint":"127\.0\.0\.1:\d+"/)
    server.child.kill('SIGTERM')
    expect(await server.ended).toMatchObject({ code: 0, stderr: '' })
  })

  test('says that its port is taken', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const address = other.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const ended = await millrace(['annotator', '--port', String(port)])
    other.close()
    expect(ended.stderr).toContain(String(port))
    expect(ended.stderr).toContain('[MILLRACE_PORT_IN_USE]')
    expect(ended.code).toBe(5)
  })
})

describe('being asked to stop', () => {
  const listens = new URL('../../cli/interruption.ts', import.meta.url).href
  const clock = new URL('../../runtime/system-clock.ts', import.meta.url).href
  const stubborn = `
    import { listenForSignals } from '${listens}'
    import { systemClock } from '${clock}'
    const heard = listenForSignals({
      clock: systemClock(),
      onFirst: () => console.log('first'),
      endNow: (code, why) => { console.log(why); process.exit(code) },
    })
    heard.signal.addEventListener('abort', () => console.log(heard.signal.reason.code, heard.exitCode()))
    setInterval(() => {}, 1000)
    console.log('up')`

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('twice by %s ends what does not stop', async (signal, code) => {
    await using files = await folderWith()
    const file = join(files.path, 'stubborn.ts')
    await writeFile(file, stubborn)
    const run = startFile(file)
    await run.says(/up/)
    run.child.kill(signal)
    await run.says(/MILLRACE_INTERRUPTED/)
    run.child.kill(signal)
    expect(await run.ended).toEqual({
      code,
      stdout: `up\nfirst\nMILLRACE_INTERRUPTED ${code}\nwas asked to stop at once\n`,
      stderr: '',
    })
  })
})
