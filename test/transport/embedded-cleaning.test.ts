import { mkdtemp, open, readdir, rm, stat, writeFile, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { Level } from 'level'
import { asOffset, asTopic } from '../../model/position.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import type { TopicConfig } from '../../transport/transport.ts'
import { AT, CleaningBench, TOPIC } from './cleaning-bench.ts'

const root = await mkdtemp(join(tmpdir(), 'millrace-cleaning-'))
afterAll(() => rm(root, { recursive: true, force: true }))
let folders = 0

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** A record of these tests is some 80 bytes: two of them complete a segment. */
const SMALL = { 'segment.bytes': '150' } as const
const COMPACT = { ...SMALL, 'cleanup.policy': 'compact', 'min.cleanable.dirty.ratio': '0' } as const

describe('retention', () => {
  it('removes whole segments that are older than retention.ms, also the last one once it is', async () => {
    await using bench = await opened({ ...SMALL, 'retention.ms': String(HOUR_MS) })
    await using producer = await bench.producer()
    await bench.send(producer, 'a=1', 'b=2', 'c=3')
    bench.time.now += HOUR_MS
    await bench.send(producer, 'd=4', 'e=5')
    await cleaned(bench)
    expect(await bench.earliest()).toBe(0)
    bench.time.now += 1
    // The segment of c has d, which is young.
    await bench.until('the first segment to go', async () => (await bench.earliest()) === 2)
    expect(await bench.texts()).toEqual(['2 c=3', '3 d=4', '4 e=5'])
    bench.time.now += HOUR_MS
    await bench.until('all segments to go', async () => (await bench.earliest()) === 5)
    await bench.until('their files to go', async () => (await bench.files()).length === 0)
    await bench.send(producer, 'f=6')
    expect(await bench.texts()).toEqual(['5 f=6'])
  })

  it('keeps a partition within retention.bytes by whole segments, never the one being written', async () => {
    await using bench = await opened({ ...SMALL, 'retention.bytes': '400' })
    await using producer = await bench.producer()
    for (let index = 0; index < 20; index += 1) await bench.send(producer, `k${index}=value`)
    await bench.until('old segments to go', async () => (await bench.files()).length <= 6)
    await cleaned(bench)
    const texts = await bench.texts()
    expect(texts.at(-1)).toBe('19 k19=value')
    expect(texts.length).toBeGreaterThanOrEqual(4)
    expect(await bench.earliest()).toBe(20 - texts.length)
    const sizes = (await bench.files()).map(async (name) => (await stat(bench.pathOf(name))).size)
    const total = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
    expect(total).toBeGreaterThanOrEqual(400)
    expect(total).toBeLessThan(400 + 150)
  })

  it('never takes the records of an open transaction, nor what came after them', async () => {
    await using bench = await opened({ ...SMALL, 'retention.ms': '1000' })
    await using plain = await bench.producer()
    await using transactional = await bench.producer('open')
    await bench.send(plain, 'a=1', 'b=2')
    await bench.send(transactional, 'c=3')
    await bench.send(plain, 'd=4', 'e=5')
    bench.time.now += DAY_MS
    await bench.until('what is before it to go', async () => (await bench.earliest()) === 2)
    await cleaned(bench)
    expect(await bench.texts('read_uncommitted')).toEqual(['2 c=3', '3 d=4', '4 e=5'])
    await transactional.commit()
    await bench.until('the rest to go', async () => (await bench.earliest()) === 5)
  })

  it('begins a segment after segment.ms, written to or not', async () => {
    await using bench = await opened({ 'segment.ms': '1000', 'retention.ms': '-1' })
    await using producer = await bench.producer()
    await bench.send(producer, 'a=1', 'b=2')
    expect(await bench.files()).toHaveLength(1)
    bench.time.now += 1_000
    await bench.send(producer, 'c=3')
    await bench.until('the second segment', async () => (await bench.files()).length === 2)
    bench.time.now += 1_000
    await cleaned(bench)
    await bench.send(producer, 'd=4')
    expect(await bench.files()).toHaveLength(3)
    expect(await bench.texts()).toHaveLength(4)
  })

  it('is off with -1, and for a topic that is only compacted', async () => {
    for (const config of [
      { ...SMALL, 'retention.ms': '-1' },
      { ...COMPACT, 'retention.ms': '1000', 'retention.bytes': '1' },
    ]) {
      await using bench = await opened(config)
      await using producer = await bench.producer()
      await bench.send(producer, 'a=1', 'b=2', 'c=3', 'd=4', 'e=5')
      bench.time.now += 400 * DAY_MS
      await cleaned(bench)
      expect(await bench.texts()).toHaveLength(5)
    }
  })

  it('forgets in the index what it removed: places, segments and aborted transactions', async () => {
    const folder = newFolder()
    {
      await using bench = await opened({ ...SMALL, 'retention.ms': '1000' }, {}, folder)
      await using producer = await bench.producer('aborts')
      for (let index = 0; index < 10; index += 1) {
        await bench.send(producer, 'a=1', 'b=2')
        await producer.abort()
      }
      bench.time.now += DAY_MS
      await bench.until('all to go', async () => (await bench.earliest()) === 20)
      await bench.until('all files to go', async () => (await bench.files()).length === 0)
    }
    const index = new Level<string, unknown>(join(folder, 'index'), { valueEncoding: 'json' })
    const keys = await index.keys().all()
    await index.close()
    const kinds = new Set(keys.map((key) => key.split(':')[0]))
    for (const gone of ['segment', 'batch', 'aborted', 'open'])
      expect([...kinds]).not.toContain(gone)
    expect([...kinds]).toContain('start')
    await using again = await CleaningBench.open(folder)
    expect([await again.earliest(), await again.end()]).toEqual([20, 20])
  })

  it('leaves what was just written with old times while its segment is written to', async () => {
    await using bench = await opened({ 'retention.ms': String(HOUR_MS) })
    await using producer = await bench.producer()
    bench.time.now -= 400 * DAY_MS
    bench.put(producer, 'old', Buffer.from('1'))
    bench.time.now += 400 * DAY_MS
    await producer.flush()
    await cleaned(bench)
    expect(await bench.texts()).toEqual(['0 old=1'])
    bench.time.now += HOUR_MS + 1
    await bench.until('it to go', async () => (await bench.earliest()) === 1)
  })
})

describe('compaction', () => {
  it('runs by itself once enough is new, and makes one segment of many', async () => {
    await using bench = await opened({ ...COMPACT, 'segment.bytes': '2000' })
    await using producer = await bench.producer()
    const keys = ['a', 'b', 'c', 'd', 'e']
    for (let round = 0; round < 40; round += 1) {
      await bench.send(producer, ...keys.map((key) => `${key}=${round}`))
    }
    await bench.until('few files', async () => (await bench.files()).length <= 2)
    const texts = await bench.texts()
    expect(texts.length).toBeLessThan(60)
    expect(texts.slice(-5)).toEqual(keys.map((key, index) => `${195 + index} ${key}=39`))
    const before = texts.slice(0, -35)
    expect(new Set(before.map((text) => text.split(/[ =]/)[1])).size).toBe(before.length)
  })

  it('waits for the part of new bytes and the age that the topic names', async () => {
    await using bench = await opened({
      ...SMALL,
      'cleanup.policy': 'compact',
      'min.cleanable.dirty.ratio': '0.9',
      'min.compaction.lag.ms': '1000',
    })
    await using producer = await bench.producer()
    await bench.send(producer, ...Array.from({ length: 20 }, (_, index) => `k${index}=1`))
    await bench.send(producer, 'k0=2', 'k1=2', 'x=1', 'y=1')
    await cleaned(bench)
    expect(await bench.texts()).toHaveLength(24)
    bench.time.now += 1_001
    await bench.until('a first round', async () => (await bench.texts()).length === 22)
    await bench.send(producer, 'k2=2', 'k3=2', 'z=1', 'z=2')
    bench.time.now += 1_001
    await cleaned(bench)
    expect(await bench.texts()).toHaveLength(26)
  })

  it('keeps a tombstone for delete.retention.ms after it was alone, then drops it', async () => {
    await using bench = await opened({ ...COMPACT, 'delete.retention.ms': String(HOUR_MS) })
    await using producer = await bench.producer()
    await bench.send(producer, 'a=1', 'b=1', 'a', 'c=1')
    await bench.log.compact(AT)
    expect(await bench.texts()).toEqual(['1 b=1', '2 a', '3 c=1'])
    bench.time.now += HOUR_MS - 1
    await bench.log.compact(AT)
    expect(await bench.texts()).toEqual(['1 b=1', '2 a', '3 c=1'])
    bench.time.now += 1
    await bench.send(producer, 'b')
    await bench.log.compact(AT)
    expect(await bench.texts()).toEqual(['3 c=1', '4 b'])
    bench.time.now += HOUR_MS
    await bench.log.compact(AT)
    expect(await bench.texts()).toEqual(['3 c=1'])
    expect(await bench.end()).toBe(5)
  })

  it('that has room for few keys takes several rounds and comes to the same', async () => {
    const config = { ...COMPACT, 'segment.bytes': '100000' }
    await using bench = await opened(config, { cleanKeyBytes: 1 })
    await using producer = await bench.producer()
    const names = Array.from({ length: 300 }, (_, index) => `key-number-${index}`)
    for (const some of [names, names.slice(0, 150), names.slice(150)]) {
      for (const name of some) bench.put(producer, name, Buffer.from('v'))
      await producer.flush()
    }
    await bench.log.compact(AT)
    expect(await bench.texts()).toEqual(names.map((name, index) => `${300 + index} ${name}=v`))
  })

  it('copies large values, and large batches of many records, without loading a segment', async () => {
    await using bench = await opened(
      {
        'cleanup.policy': 'compact',
        'max.message.bytes': '20000000',
        'min.cleanable.dirty.ratio': '1',
      },
      { batchBytes: 8_000_000 },
    )
    await using producer = await bench.producer()
    const big = (fill: number) => Buffer.alloc(5_000_000, fill)
    for (const [key, fill] of [
      ['a', 1],
      ['b', 2],
      ['a', 3],
    ] as const) {
      bench.put(producer, key, big(fill))
      await producer.flush()
    }
    for (const fill of [4, 5, 6]) bench.put(producer, `c${fill % 2}`, Buffer.alloc(2_000_000, fill))
    bench.put(producer, 'k'.repeat(1_500_000), Buffer.from('long key'))
    await producer.flush()
    bench.put(producer, 'k'.repeat(1_500_000), Buffer.from('long key again'))
    bench.put(producer, 'k'.repeat(1_500_000 - 1), null)
    await producer.flush()
    await bench.log.compact(AT)
    await using reader = bench.log.openReader({ isolation: 'read_committed', prefetchBytes: 1 })
    const found = async (offset: number) =>
      (await reader.readAt({ ...AT, offset: asOffset(offset) }))?.record.value ?? undefined
    expect(await found(0)).toBeUndefined()
    expect((await found(1))?.equals(big(2))).toBe(true)
    expect((await found(2))?.equals(big(3))).toBe(true)
    expect(await found(3)).toBeUndefined()
    expect((await found(4))?.equals(Buffer.alloc(2_000_000, 5))).toBe(true)
    expect((await found(5))?.equals(Buffer.alloc(2_000_000, 6))).toBe(true)
    expect(await found(6)).toBeUndefined()
    expect(String(await found(7))).toBe('long key again')
    expect((await bench.texts()).map((text) => text.slice(0, 2).trim())).toEqual([
      '1',
      '2',
      '4',
      '5',
      '7',
      '8',
    ])
  })

  it('and deletion together drop what is old and keep one of each key of the rest', async () => {
    await using bench = await opened({
      ...COMPACT,
      'cleanup.policy': 'compact,delete',
      'retention.ms': String(HOUR_MS),
    })
    await using producer = await bench.producer()
    await bench.send(producer, 'a=1', 'b=1', 'c=1', 'a=2')
    bench.time.now += HOUR_MS
    await bench.send(producer, 'b=2', 'd=1')
    await bench.log.compact(AT)
    expect(await bench.texts()).toEqual(['2 c=1', '3 a=2', '4 b=2', '5 d=1'])
    bench.time.now += 1
    await bench.until('the old ones to go', async () => (await bench.earliest()) >= 4)
    expect(await bench.texts()).toEqual(['4 b=2', '5 d=1'])
  })

  it('of a damaged segment removes nothing and tells; other partitions go on', async () => {
    const folder = newFolder()
    const config = { ...COMPACT, 'min.compaction.lag.ms': '1000' }
    await using bench = await opened(config, {}, folder)
    await using producer = await bench.producer()
    await bench.send(producer, 'a=1', 'b=1', 'a=2', 'b=2', 'c=1', 'd=1')
    const [first = '', second = ''] = await bench.files()
    await flip(bench.pathOf(second), 100)
    bench.time.now += 1_001
    await expect(bench.log.compact(AT)).rejects.toMatchObject({ code: 'MILLRACE_LOG_DAMAGED' })
    await bench.until('the cleaner to tell', () => Promise.resolve(bench.failures.length > 0))
    expect(bench.failures[0]).toContain(`${TOPIC}[0] The embedded log is damaged in`)
    expect(bench.failures[0]).toContain(second)
    expect(await bench.files()).toContain(first)
    await bench.send(producer, 'e=1')
  })
})

describe('readers beside cleaning', () => {
  it('never see an aborted record, a gap in their order, or a file that is missing', async () => {
    await using bench = await opened({ ...COMPACT, 'segment.bytes': '1000' }, { openFiles: 1 })
    await using plain = await bench.producer()
    await using aborting = await bench.producer('aborting')
    let isDone = false
    const reads = [1, 2, 3].map(async () => {
      let passes = 0
      while (!isDone) {
        const texts = await bench.texts()
        expect(texts.filter((text) => text.includes('never'))).toEqual([])
        const offsets = texts.map((text) => Number.parseInt(text))
        expect(offsets).toEqual([...offsets].sort((one, other) => one - other))
        passes += 1
        await systemClock().yield()
      }
      return passes
    })
    try {
      for (let round = 0; round < 60; round += 1) {
        await bench.send(plain, 'a=1', 'b=2')
        for (let index = 0; index < 8; index += 1) {
          bench.put(aborting, 'abcdefgh'.charAt(index), Buffer.from('never'))
          if (index % 2 === 0) await aborting.flush()
        }
        await aborting.abort()
        if (round % 6 === 5) await bench.log.compact(AT)
      }
    } finally {
      isDone = true
    }
    for (const passes of await Promise.all(reads)) expect(passes).toBeGreaterThan(3)
    expect(bench.failures).toEqual([])
  })

  it('that stand below a start which moves are told the range', async () => {
    await using bench = await opened({ ...SMALL, 'retention.ms': '-1' })
    await using producer = await bench.producer()
    await bench.send(producer, ...Array.from({ length: 50 }, (_, index) => `k${index}=v`))
    await using reader = bench.log.openReader({ isolation: 'read_committed', prefetchBytes: 1 })
    const cursor = reader.open({ ...AT, offset: asOffset(0) })
    await bench.log.admin.deleteRecords([{ ...AT, offset: asOffset(40) }])
    const read = async (): Promise<void> => {
      for (;;) if (cursor.take() === undefined) await reader.ready()
    }
    await expect(read()).rejects.toMatchObject({ code: 'MILLRACE_OFFSET_OUT_OF_RANGE' })
    await expect(read()).rejects.toThrow(/goes from 40 to 50/)
  })
})

describe('a topic with a configuration that is not understood', () => {
  const wrong: readonly TopicConfig[] = [
    { 'cleanup.policy': 'shred' },
    { 'retention.ms': 'a week' },
    { 'retention.bytes': '-2' },
    { 'segment.bytes': '0' },
    { 'segment.ms': '1.5' },
    { 'delete.retention.ms': '' },
    { 'min.compaction.lag.ms': '-1' },
    { 'min.cleanable.dirty.ratio': '2' },
  ]
  it('is not created, and the message names the setting, the value and what it may be', async () => {
    await using bench = await CleaningBench.open(newFolder())
    for (const config of wrong) {
      const topic = asTopic('wrong')
      const creating = bench.log.admin.createTopics([{ topic, partitions: 1, config }])
      const [name = '', value = ''] = Object.entries(config)[0] ?? []
      await expect(creating).rejects.toMatchObject({ code: 'MILLRACE_TOPIC_CONFIG' })
      await expect(creating).rejects.toThrow(name)
      await expect(creating).rejects.toThrow(JSON.stringify(value))
    }
    expect(await bench.log.admin.describeTopics()).toEqual([])
  })

  it('is described with what counts where it names nothing', async () => {
    await using bench = await opened({ 'cleanup.policy': 'compact' }, { segmentBytes: 12_345 })
    const [described] = await bench.log.admin.describeTopics([TOPIC])
    expect(described?.config).toMatchObject({
      'cleanup.policy': 'compact',
      'delete.retention.ms': String(DAY_MS),
      'retention.ms': String(7 * DAY_MS),
      'segment.bytes': '12345',
    })
  })
})

describe('a folder of format 1', () => {
  it('is taken over with its records, and cleaned by the times of its files', async () => {
    const folder = newFolder()
    {
      await using bench = await opened({ ...SMALL, 'retention.ms': String(HOUR_MS) }, NEVER, folder)
      await using producer = await bench.producer()
      await bench.send(producer, 'a=1', 'b=2', 'c=3', 'd=4', 'e=5')
    }
    await toFormat1(folder)
    const modified = (await stat(join(folder, 'topics', TOPIC, '0', '0000000000000000.log')))
      .mtimeMs
    const time = { now: modified + HOUR_MS / 2 }
    await using bench = await CleaningBench.open(folder, {}, time)
    await cleaned(bench)
    expect(await bench.texts()).toHaveLength(5)
    expect(await readFile(join(folder, 'embedded-log.json'), 'utf8')).toContain('"version":2')
    time.now += HOUR_MS
    await bench.until('its segments to go', async () => (await bench.earliest()) === 4)
  })
})

const NEVER = { cleanIntervalMs: 1e9 } as const

function newFolder(): string {
  folders += 1
  return join(root, `log-${folders}`)
}

async function opened(
  config: TopicConfig,
  options: Parameters<typeof CleaningBench.open>[1] = {},
  folder = newFolder(),
): Promise<CleaningBench> {
  const bench = await CleaningBench.open(folder, options)
  await bench.create(config)
  return bench
}

/** Lets the cleaner look at everything: what it has not done after that it will not do. */
async function cleaned(bench: CleaningBench): Promise<void> {
  const marker = asTopic(`marker-${folders}-${Math.random().toString(36).slice(2)}`)
  await bench.log.admin.createTopics([
    { topic: marker, partitions: 1, config: { 'retention.ms': '0', 'segment.bytes': '1' } },
  ])
  await using producer = await bench.producer()
  const at = { topic: marker, partition: AT.partition }
  for (let look = 0; look <= 3; look += 1) {
    // It completes the segment of the one before, which is too old at once.
    producer.send({ ...at, key: null, value: null, timestamp: 0, headers: [] })
    await producer.flush()
    await bench.until('a look of the cleaner', async () => {
      const [start] = await bench.log.admin.offsets([at], 'earliest', 'read_committed')
      return start === look
    })
  }
}

async function flip(path: string, at: number): Promise<void> {
  const file = await open(path, 'r+')
  const byte = Buffer.alloc(1)
  await file.read(byte, 0, 1, at)
  await file.write(Buffer.from([(byte[0] ?? 0) ^ 0x10]), 0, 1, at)
  await file.close()
}

/** Takes out of a folder what format 1 did not have. */
async function toFormat1(folder: string): Promise<void> {
  const index = new Level<string, unknown>(join(folder, 'index'), { valueEncoding: 'json' })
  for (const [key, value] of await index.iterator().all()) {
    const row = value as { readonly bytes: number; readonly end: number; readonly segment: number }
    if (key.startsWith('segment:')) await index.put(key, row.bytes)
    const { end, segment, bytes } = row
    if (key.startsWith('end:')) await index.put(key, { end, segment, bytes })
  }
  await index.close()
  const mark = join(folder, 'embedded-log.json')
  await writeFile(mark, (await readFile(mark, 'utf8')).replace('"version":2', '"version":1'))
  expect(await readdir(join(folder, 'topics', TOPIC, '0'))).not.toHaveLength(0)
}
