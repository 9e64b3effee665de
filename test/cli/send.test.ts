import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openLog } from '../../cli/open-log.ts'
import { partitionForKey } from '../../model/murmur2.ts'
import { asTopic } from '../../model/position.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { folderWith, millrace, start, type Ended } from './millrace.ts'

const clock = systemClock()
let folder: Awaited<ReturnType<typeof folderWith>>
let data: string

beforeAll(async () => {
  folder = await folderWith()
  data = join(folder.path, 'data')
  await using log = await openLog(data, { clock })
  await log.transport.admin.createTopics(
    ['lines', 'spread', 'many', 'typed', 'small'].map((name) => ({
      topic: asTopic(name),
      partitions: name === 'spread' ? 4 : 1,
      ...(name === 'small' && { config: { 'max.message.bytes': '1000' } }),
    })),
  )
})

afterAll(() => folder[Symbol.asyncDispose]())

function send(topic: string, input: string | Buffer, args: readonly string[] = []): Promise<Ended> {
  const run = start(['send', topic, '--embedded', data, ...args])
  run.child.stdin.on('error', () => undefined).end(input)
  return run.ended
}

interface Shown {
  readonly partition: number
  readonly key: unknown
  readonly value: unknown
}

async function tail(topic: string): Promise<readonly Shown[]> {
  const { stdout, code } = await millrace(['tail', topic, '--embedded', data, '--json'])
  expect(code).toBe(0)
  const lines = stdout.split('\n').filter((line) => line !== '')
  return lines.map((line) => JSON.parse(line) as Shown)
}

describe('send', () => {
  test('makes each line a record, and says how many', async () => {
    const first = await send('lines', 'a\tto be\nno key\nb\t\n\nc\tend')
    expect(first).toEqual({ code: 0, stdout: '', stderr: 'sent 5 records to lines\n' })
    const args = ['--separator', ':', '--tombstone', 'NULL', '--json']
    const second = await send('lines', 'd:NULL\n', args)
    expect(JSON.parse(second.stdout)).toMatchObject({ event: 'note', topic: 'lines', records: 1 })
    expect((await tail('lines')).map(({ key, value }) => [key, value])).toEqual([
      ['a', 'to be'],
      [null, 'no key'],
      ['b', ''],
      [null, ''],
      ['c', 'end'],
      ['d', null],
    ])
  })

  test("puts keys where Kafka's clients put them, and lines without one everywhere", async () => {
    const keys = Array.from({ length: 20 }, (_, n) => `key-${n}`)
    await send('spread', keys.map((key) => `${key}\tv\n`).join(''))
    await send('spread', 'one\ntwo\nthree\nfour\n')
    const records = await tail('spread')
    for (const { key, partition } of records.filter((record) => record.key !== null)) {
      expect(partition).toBe(partitionForKey(Buffer.from(String(key)), 4))
    }
    const without = records.filter(({ key }) => key === null)
    expect(new Set(without.map(({ partition }) => partition)).size).toBe(4)
  })

  test('sends more than it holds, in order', async () => {
    const line = (n: number): string => `${n} ${'x'.repeat(1000)}`
    const lines = Array.from({ length: 20_000 }, (_, n) => line(n))
    const { code, stderr } = await send('many', lines.join('\n'))
    expect({ code, stderr }).toEqual({ code: 0, stderr: 'sent 20000 records to many\n' })
    const values = (await tail('many')).map(({ value }) => value)
    expect(values).toEqual(lines)
  }, 30_000)

  test('lets a line be seen before the input ends, and stands by it when it is stopped', async () => {
    const run = start(['send', 'typed', '--embedded', data])
    run.child.stdin.write('typed\nhalf a line')
    const watch = start(['tail', 'typed', '--embedded', data, '--follow'])
    await watch.says(/typed\n/)
    watch.child.kill('SIGTERM')
    await watch.ended
    run.child.kill('SIGINT')
    const { code, stderr } = await run.ended
    expect(code).toBe(130)
    expect(stderr).toContain('sent 1 record to typed\n')
    expect((await tail('typed')).map(({ value }) => value)).toEqual(['typed'])
  })

  test('fails with a record that the topic does not take', async () => {
    const { code, stderr } = await send('small', `${'x'.repeat(2000)}\n`)
    expect(code).toBe(6)
    expect(stderr).toContain('sent 0 records to small\n')
    expect(stderr).toContain('[MILLRACE_RECORD_TOO_LARGE]')
  })

  test('says how a topic that is missing is made', async () => {
    const { code, stderr } = await send('words', 'a\n')
    expect(code).toBe(3)
    expect(stderr).toContain("there is no topic 'words'")
    expect(stderr).toContain('millrace topics <pipeline.ts> --create')
  })

  test('makes no log where there is none', async () => {
    const { code, stderr } = await millrace(['send', 'a', '--embedded', join(folder.path, 'none')])
    expect(code).toBe(5)
    expect(stderr).toContain('[MILLRACE_LOG_MISSING]')
  })
})
