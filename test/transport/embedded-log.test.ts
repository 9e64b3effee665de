import { spawn } from 'node:child_process'
import {
  appendFile,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { asOffset, asPartition, asTopic, type Topic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import type { EmbeddedLogOptions } from '../../transport/embedded/limits.ts'
import { openEmbeddedLog } from '../../transport/embedded/open.ts'
import type { Reader, Transport } from '../../transport/transport.ts'
import { drawnSeed } from '../seed.ts'
import { randomFrom } from './embedded-writer-shape.ts'

const A = asTopic('a')
const B = asTopic('b')
const WRITER = fileURLToPath(new URL('./embedded-writer.ts', import.meta.url))
const FILLER = fileURLToPath(new URL('./embedded-filler.ts', import.meta.url))

const root = await mkdtemp(join(tmpdir(), 'millrace-log-'))
afterAll(() => rm(root, { recursive: true, force: true }))
let folders = 0

describe('the folder of an embedded log', () => {
  it('is made with its parents, and is held by one opening at a time', async () => {
    const folder = join(newFolder(), 'deep', 'log')
    const first = await openAt(folder)
    const second = await failure(openAt(folder))
    expect(second).toMatchObject({ code: 'MILLRACE_LOG_IN_USE', kind: 'fatal' })
    expect(second.message).toContain(folder)
    expect(second.message).toContain(`pid ${process.pid}`)
    await first[Symbol.asyncDispose]()
    await (await openAt(folder))[Symbol.asyncDispose]()
  })

  it('tells a second process who holds it', async () => {
    const folder = newFolder()
    await using _log = await openAt(folder)
    const { stderr, code } = await run([process.execPath, WRITER, folder])
    expect(code).toBe(1)
    expect(stderr).toContain('MILLRACE_LOG_IN_USE')
    expect(stderr).toContain(`the process with pid ${process.pid}`)
    expect(stderr).toContain(folder)
  })

  it("that is somebody else's is refused and left as it is", async () => {
    const folder = newFolder()
    await mkdir(folder)
    await writeFile(join(folder, 'diary.txt'), 'mine')
    const error = await failure(openAt(folder))
    expect(error.code).toBe('MILLRACE_NOT_A_LOG')
    expect(error.message).toContain(folder)
    expect(await readdir(folder)).toEqual(['diary.txt'])
  })

  it('that cannot be made is an error that names it', async () => {
    const file = newFolder()
    await writeFile(file, '')
    for (const folder of [file, join(file, 'log')]) {
      const error = await failure(openAt(folder))
      expect(error.code).toBe('MILLRACE_LOG_FOLDER')
      expect(error.message).toContain(folder)
    }
  })

  it('of a later format is refused, of a broken mark too', async () => {
    const folder = newFolder()
    await (await openAt(folder))[Symbol.asyncDispose]()
    const mark = join(folder, 'embedded-log.json')
    await writeFile(mark, (await readFile(mark, 'utf8')).replace('"version":2', '"version":3'))
    const error = await failure(openAt(folder))
    expect(error.code).toBe('MILLRACE_LOG_VERSION')
    expect(error.message).toMatch(/format 3.*up to 2/)
    await writeFile(mark, '{"version":2}')
    expect((await failure(openAt(folder))).code).toBe('MILLRACE_NOT_A_LOG')
  })

  it('is not blocked by a mark that was begun and not finished', async () => {
    const folder = newFolder()
    await mkdir(folder)
    await writeFile(join(folder, 'embedded-log.json.new'), '{"for')
    await (await openAt(folder))[Symbol.asyncDispose]()
  })

  it('that lost its index but not its records is not taken for an empty log', async () => {
    const folder = newFolder()
    await filled(folder, { values: 3, bytes: 100 })
    await rm(join(folder, 'index'), { recursive: true })
    const error = await failure(openAt(folder))
    expect(error.code).toBe('MILLRACE_LOG_DAMAGED')
    expect(error.message).toContain(join(folder, 'index'))
    expect(await readdir(join(folder, 'topics'))).toEqual(['a', 'b'])
  })

  it('whose index is damaged says so', async () => {
    const folder = newFolder()
    await filled(folder, { values: 3, bytes: 100 })
    const names = await readdir(join(folder, 'index'))
    for (const name of names.filter((each) => each.startsWith('MANIFEST'))) {
      await writeFile(join(folder, 'index', name), 'not a manifest at all')
    }
    const error = await failure(openAt(folder))
    expect(error.code).toBe('MILLRACE_LOG_DAMAGED')
    expect(error.message).toContain(join(folder, 'index'))
  })
})

describe('a damaged embedded log', () => {
  it('gives what lies before a flipped byte, then names the file and the offset', async () => {
    const folder = newFolder()
    await filled(folder, { values: 8, bytes: 100_000 })
    await flip(segment(folder), 350_000)
    await using log = await openAt(folder)
    await using reader = log.openReader({ isolation: 'read_committed', prefetchBytes: 1 })
    const { offsets, error } = await readAll(reader, A)
    expect(offsets).toEqual([0, 1, 2])
    expect(error).toMatchObject({ code: 'MILLRACE_LOG_DAMAGED', kind: 'fatal' })
    expect(error?.message).toContain(segment(folder))
    expect(error?.message).toContain('offset 3')
    const beyond = await reader.readAt({ topic: A, partition: asPartition(0), offset: asOffset(4) })
    expect(beyond?.record.value?.length).toBe(100_000)
    const at = { topic: A, partition: asPartition(0), offset: asOffset(3) }
    expect((await failure(reader.readAt(at))).message).toContain('offset 3')
    expect((await readAll(reader, B)).offsets).toEqual([0])
  })

  const endings = [
    ['a byte of its last batch was flipped', (path: string) => flip(path, 790_000)],
    ['it lost its last byte', async (path: string) => truncate(path, (await stat(path)).size - 1)],
    ['it lost half of its bytes', (path: string) => truncate(path, 400_000)],
    ['its segment is gone', (path: string) => rm(path)],
  ] as const
  for (const [title, harm] of endings) {
    it(`says so at every use of the partition when ${title}; the rest goes on`, async () => {
      const folder = newFolder()
      await filled(folder, { values: 8, bytes: 100_000 })
      await harm(segment(folder))
      await using log = await openAt(folder)
      await using reader = log.openReader({ isolation: 'read_committed', prefetchBytes: 1 })
      const { offsets, error } = await readAll(reader, A)
      expect(offsets).toEqual([])
      expect(error?.code).toBe('MILLRACE_LOG_DAMAGED')
      expect(error?.message).toContain(segment(folder))
      const ends = log.admin.offsets(
        [{ topic: A, partition: asPartition(0) }],
        'latest',
        'read_committed',
      )
      expect((await failure(ends)).code).toBe('MILLRACE_LOG_DAMAGED')
      await using producer = log.openProducer({})
      await producer.init()
      send(producer, A, 'x')
      expect((await failure(producer.flush())).code).toBe('MILLRACE_LOG_DAMAGED')
      send(producer, B, 'goes on')
      await producer.flush()
      expect((await readAll(reader, B)).offsets).toEqual([0, 1])
      // The way out that the message names.
      await log.admin.deleteTopics([A])
      await log.admin.createTopics([{ topic: A, partitions: 1 }])
      send(producer, A, 'again')
      await producer.flush()
    })
  }

  it('is not what an interrupted write leaves: that is cut, and the log goes on', async () => {
    const folder = newFolder()
    await filled(folder, { values: 3, bytes: 1_000 })
    const { size } = await stat(segment(folder))
    await appendFile(segment(folder), Buffer.alloc(5_000, 7))
    const begun = join(folder, 'topics', 'a', '0', '0000000000000003.log')
    await writeFile(begun, 'never acknowledged')
    {
      await using log = await openAt(folder)
      expect((await stat(segment(folder))).size).toBe(size)
      await expect(stat(begun)).rejects.toThrow(/ENOENT/)
      await using producer = log.openProducer({})
      await producer.init()
      send(producer, A, 'next')
      expect(await producer.flush()).toMatchObject([{ offset: 3 }])
    }
    await using log = await openAt(folder)
    await using reader = log.openReader({ isolation: 'read_committed', prefetchBytes: 1 })
    expect((await readAll(reader, A)).offsets).toEqual([0, 1, 2, 3])
  })
})

describe('a disk without room', () => {
  for (const where of ['segments', 'index'] as const) {
    it(`for ${where} is told by name; nothing is half visible, and with room the log goes on`, async () => {
      const folder = newFolder()
      const kib = where === 'segments' ? 3_000 : 64
      const command = `ulimit -f ${kib * 2}; exec "$0" "$1" "$2" "$3"`
      const { stdout, stderr } = await run([
        'sh',
        '-c',
        command,
        process.execPath,
        FILLER,
        folder,
        where,
      ])
      const lines = stdout.trim().split('\n')
      const acknowledged = lines.filter((line) => line.startsWith('committed')).length
      expect(lines.at(-1), stderr).toMatch(/^failed MILLRACE_DISK_FULL /)
      expect(lines.at(-1)).toContain(join(folder, where === 'segments' ? 'topics' : 'index'))
      await using log = await openAt(folder)
      await using reader = log.openReader({ isolation: 'read_committed', prefetchBytes: 1_000_000 })
      const before = (await readAll(reader, A)).offsets.length
      // Where the index failed the outcome of the last transaction was unknown.
      expect(before % 2).toBe(0)
      expect(before / 2 - acknowledged).toBeGreaterThanOrEqual(0)
      expect(before / 2 - acknowledged).toBeLessThanOrEqual(where === 'segments' ? 0 : 1)
      expect(acknowledged).toBeGreaterThan(0)
      await using producer = log.openProducer({ transactionalId: 'filler' })
      await producer.init()
      send(producer, A, 'fits')
      await producer.commit()
      await using again = log.openReader({ isolation: 'read_committed', prefetchBytes: 1_000_000 })
      expect((await readAll(again, A)).offsets.length).toBe(before + 1)
    })
  }
})

describe('a record over max.message.bytes', () => {
  it('is refused by the topic, its size, the limit and the remedy; others go on', async () => {
    await using log = await openAt(newFolder())
    await log.admin.createTopics([
      { topic: A, partitions: 1 },
      { topic: B, partitions: 1, config: { 'max.message.bytes': '2000000' } },
    ])
    await using producer = log.openProducer({})
    await producer.init()
    const large = Buffer.alloc(1_500_000)
    send(producer, A, large)
    send(producer, A, 'small')
    send(producer, B, large)
    const error = await failure(producer.flush())
    expect(error).toMatchObject({ code: 'MILLRACE_RECORD_TOO_LARGE', kind: 'abortable' })
    expect(error.message).toMatch(/15000\d\d bytes .* a .* 1048576 .*max\.message\.bytes/s)
    expect(await producer.flush()).toMatchObject([
      { topic: A, offset: 0 },
      { topic: B, offset: 0 },
    ])
    const wrong = log.admin.createTopics([
      { topic: asTopic('c'), partitions: 1, config: { 'max.message.bytes': 'much' } },
    ])
    expect((await failure(wrong)).code).toBe('MILLRACE_TOPIC_CONFIG')
  })
})

describe('segments of all sizes of batches', () => {
  const seed = drawnSeed()
  it(`give each record by its offset and all in order, before and after opening again (seed ${seed})`, async () => {
    const random = randomFrom(seed)
    const folder = newFolder()
    const options = { segmentBytes: 700_000, batchBytes: 90_000 }
    const sizes: number[] = []
    {
      await using log = await openAt(folder, options)
      await log.admin.createTopics([{ topic: A, partitions: 1 }])
      await using producer = log.openProducer({})
      await producer.init()
      for (let index = 0; index < 500; index += 1) {
        const bytes = Math.floor(random() ** 6 * 200_000)
        sizes.push(bytes)
        send(producer, A, Buffer.alloc(bytes, index))
        if (random() < 0.4) await producer.flush()
      }
      await producer.flush()
      await check(log)
    }
    await using log = await openAt(folder, options)
    await check(log)

    async function check(log: Transport): Promise<void> {
      await using reader = log.openReader({ isolation: 'read_committed', prefetchBytes: 300_000 })
      for (let tries = 0; tries < 100; tries += 1) {
        const offset = Math.floor(random() * sizes.length)
        const found = await reader.readAt({
          topic: A,
          partition: asPartition(0),
          offset: asOffset(offset),
        })
        expect(found?.record.value?.equals(Buffer.alloc(sizes[offset] ?? 0, offset))).toBe(true)
      }
      const from = Math.floor(random() * sizes.length)
      const { offsets, values } = await readAll(reader, A, from)
      expect(offsets).toEqual(sizes.map((_, offset) => offset).slice(from))
      for (const [index, value] of values.entries()) {
        expect(value.equals(Buffer.alloc(sizes[from + index] ?? 0, from + index))).toBe(true)
      }
    }
  })
})

describe('the leader epoch', () => {
  it('grows with each opening and stays with the records written meanwhile', async () => {
    const folder = newFolder()
    const epochs: number[] = []
    for (let opening = 0; opening < 3; opening += 1) {
      await using log = await openAt(folder)
      if (opening === 0) await log.admin.createTopics([{ topic: A, partitions: 1 }])
      await using producer = log.openProducer({})
      await producer.init()
      send(producer, A, 'x')
      await producer.flush()
      await using reader = log.openReader({ isolation: 'read_committed', prefetchBytes: 1_000_000 })
      const { batchEpochs } = await readAll(reader, A)
      epochs.splice(0, epochs.length, ...batchEpochs)
      const at = { topic: A, partition: asPartition(0), offset: asOffset(0) }
      expect((await reader.readAt(at))?.leaderEpoch).toBe(batchEpochs[0])
    }
    expect(epochs).toEqual([1, 2, 3])
  })
})

function newFolder(): string {
  folders += 1
  return join(root, `log-${folders}`)
}

function openAt(folder: string, options: Partial<EmbeddedLogOptions> = {}): Promise<Transport> {
  return openEmbeddedLog({ folder, clock: systemClock(), ...options })
}

function segment(folder: string): string {
  return join(folder, 'topics', 'a', '0', '0000000000000000.log')
}

/** A log with that many records in topic a, each a batch, and one in topic b. */
async function filled(
  folder: string,
  { values, bytes }: { readonly values: number; readonly bytes: number },
): Promise<void> {
  await using log = await openAt(folder)
  await log.admin.createTopics([A, B].map((topic) => ({ topic, partitions: 1 })))
  await using producer = log.openProducer({})
  await producer.init()
  for (let index = 0; index < values; index += 1) {
    send(producer, A, Buffer.alloc(bytes, index))
    await producer.flush()
  }
  send(producer, B, 'beside')
  await producer.flush()
}

function send(
  producer: ReturnType<Transport['openProducer']>,
  topic: Topic,
  value: Buffer | string,
): void {
  producer.send({
    topic,
    partition: asPartition(0),
    key: null,
    value: Buffer.from(value),
    timestamp: 1_700_000_000_000,
    headers: NO_HEADERS,
  })
}

/** Reads partition 0 to its end, or to its error. */
async function readAll(reader: Reader, topic: Topic, from = 0) {
  const cursor = reader.open({ topic, partition: asPartition(0), offset: asOffset(from) })
  const offsets: number[] = []
  const values: Buffer[] = []
  const batchEpochs: number[] = []
  let error: (Error & { readonly code?: string }) | undefined
  try {
    for (;;) {
      const batch = cursor.take()
      if (batch === undefined) {
        if (cursor.lastStableOffset === cursor.position) break
        await reader.ready()
        continue
      }
      batchEpochs.push(batch.leaderEpoch)
      for (const record of batch.records) {
        offsets.push(record.offset)
        if (record.value !== null) values.push(record.value)
      }
    }
  } catch (thrown) {
    error = thrown as Error
  }
  cursor.close()
  return { offsets, values, batchEpochs, error }
}

async function failure(call: Promise<unknown>): Promise<Error & { readonly code: string }> {
  return await call.then(
    () => expect.unreachable('it must fail'),
    (error: unknown) => error as Error & { readonly code: string },
  )
}

async function flip(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+')
  const byte = Buffer.alloc(1)
  await file.read(byte, 0, 1, at)
  await file.write(Buffer.from([(byte[0] ?? 0) ^ 0x10]), 0, 1, at)
  await file.close()
}

async function run(command: readonly string[]) {
  const [program = '', ...args] = command
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const code = await new Promise((resolve) => child.on('close', resolve))
  return { stdout, stderr, code }
}
