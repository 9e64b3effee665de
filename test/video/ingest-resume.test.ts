import { createHash } from 'node:crypto'
import { appendFile, copyFile, open, readFile, rename, truncate, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isMillraceError } from '../../model/errors.ts'
import { asOffset, asPartition } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { memoryRegistry } from '../../serdes/memory-registry.ts'
import { SeededRandom } from '../../testing/seeded-random.ts'
import type { Fate } from '../../transport/memory/faults.ts'
import { memoryLog } from '../../transport/memory/memory-log.ts'
import { TransportError } from '../../transport/errors.ts'
import { makeClip } from '../../video/clip.ts'
import { ingest, type IngestOptions } from '../../video/ingest.ts'
import { RAW_TOPIC, VIDEOS_TOPIC, videoTopics } from '../../video/topics.ts'
import { drawnSeed } from '../seed.ts'
import { temporaryFolder } from './ffmpeg-clips.ts'
import {
  Crash,
  crashing,
  failing,
  flushingAfter,
  logEnd,
  LOGS,
  openWorld,
  rawChunks,
  videoRows,
  type Interruption,
  type LogWorld,
  type RawChunk,
} from './log-world.ts'
import { box } from './mp4-crafting.ts'

const CHUNK_BYTES = 131_072
const MIB = 2 ** 20

let folder = ''
let remove = async (): Promise<void> => {}
let clip = ''
let undisturbed: readonly Written[] = []
let transactions = 0

beforeAll(async () => {
  ;({ folder, remove } = await temporaryFolder())
  clip = (await makeClip({ folder, size: 'small', header: 'end' })).path
  await using world = await openWorld()
  await ingest(options(world))
  undisturbed = written(await rawChunks(world))
  transactions = (await videoRows(world)).length
  expect(transactions).toBeGreaterThan(3)
})
afterAll(() => remove())

function options(world: LogWorld, more: Partial<IngestOptions> = {}): IngestOptions {
  const { transport, registry, clock } = world
  // Transactions are counted: none ends for its age.
  const transactionMs = 600_000
  const limits = { chunkBytes: CHUNK_BYTES, transactionBytes: 4.5 * CHUNK_BYTES, transactionMs }
  return { transport, registry, clock, path: clip, ...limits, ...more }
}

/** What two ingests of the same file must agree in: all but the time. */
interface Written {
  readonly key: RawChunk['key']
  readonly chunk: Omit<RawChunk['chunk'], 'bytes'>
  readonly sha256: string
}

function written(chunks: readonly RawChunk[]): readonly Written[] {
  return chunks.map(({ key, chunk: { bytes, ...chunk } }) => ({
    key,
    chunk,
    sha256: createHash('sha256').update(bytes).digest('hex'),
  }))
}

function everyInterruption(): readonly Interruption[] {
  const moments = ['before', 'after'] as const
  const counts = [1, 2, 3, 4]
  const ends = (['flush', 'commit'] as const).flatMap((call) =>
    counts.flatMap((count) => moments.map((moment) => ({ call, count, moment }))),
  )
  const sends = [1, 3, 5, 6, 11].map((count) => ({ call: 'send', count, moment: 'after' }) as const)
  return [...ends, ...sends]
}

/** A file of which the fingerprint looks at the ends alone: the clip, and five MiB of nothing in a box of their own. */
async function longFile(name: string): Promise<string> {
  const file = path.join(folder, name)
  await writeFile(file, Buffer.concat([await readFile(clip), box('free', Buffer.alloc(5 * MIB))]))
  return file
}

async function changeByte(file: string, offset: number): Promise<void> {
  const handle = await open(file, 'r+')
  const byte = Buffer.alloc(1)
  await handle.read(byte, 0, 1, offset)
  await handle.write(Buffer.from([(byte[0] ?? 0) ^ 0xff]), 0, 1, offset)
  await handle.close()
}

describe.each(LOGS)('an ingest into the %s log that was killed', (log) => {
  test.each(everyInterruption())(
    'goes on after $moment $call $count and writes nothing twice',
    async (at) => {
      await using world = await openWorld(log)
      const transport = crashing(world.transport, at)
      await expect(ingest(options(world, { transport }))).rejects.toBeInstanceOf(Crash)
      const had = (await videoRows(world)).at(-1)
      const complete = had?.status === 'complete'
      expect((await rawChunks(world)).length).toBe(had?.nextIndex ?? 0)
      const result = await ingest(options(world))
      const outcome = had === undefined ? 'ingested' : complete ? 'already complete' : 'resumed'
      expect(result.outcome).toBe(outcome)
      expect(result.chunksWritten).toBe(undisturbed.length - (had?.nextIndex ?? 0))
      expect(written(await rawChunks(world))).toEqual(undisturbed)
      expect((await videoRows(world)).length).toBe(transactions)
    },
  )

  test('is killed again and again, at each transaction, and still ends with the same', async () => {
    await using world = await openWorld(log)
    for (let i = 0; i < transactions - 1; i += 1) {
      const transport = crashing(world.transport, { call: 'commit', count: 1, moment: 'after' })
      await expect(ingest(options(world, { transport }))).rejects.toBeInstanceOf(Crash)
    }
    expect((await ingest(options(world))).outcome).toBe('resumed')
    expect(written(await rawChunks(world))).toEqual(undisturbed)
  })

  test('goes on with the size of chunks it was begun with', async () => {
    await using world = await openWorld(log)
    const transport = crashing(world.transport, { call: 'commit', count: 2, moment: 'before' })
    await expect(ingest(options(world, { transport }))).rejects.toBeInstanceOf(Crash)
    const { video } = await ingest(options(world, { chunkBytes: 2 * CHUNK_BYTES }))
    expect(video.chunkBytes).toBe(CHUNK_BYTES)
    expect(written(await rawChunks(world))).toEqual(undisturbed)
  })

  test('does not go on when the log has lost what it wrote', async () => {
    await using world = await openWorld(log)
    const transport = crashing(world.transport, { call: 'commit', count: 2, moment: 'before' })
    await expect(ingest(options(world, { transport }))).rejects.toBeInstanceOf(Crash)
    await world.transport.admin.deleteTopics([RAW_TOPIC])
    await expect(ingest(options(world))).rejects.toMatchObject({
      code: 'MILLRACE_INGEST_MISMATCH',
      place: 'videos.raw[0]',
    })
    expect(await logEnd(world, RAW_TOPIC)).toBe(0)
  })

  test('does not go on with a file that changed where it was read already', async () => {
    await using world = await openWorld(log)
    const file = await longFile('changed-between.mp4')
    const transport = crashing(world.transport, { call: 'commit', count: 4, moment: 'before' })
    await expect(ingest(options(world, { transport, path: file }))).rejects.toBeInstanceOf(Crash)
    await changeByte(file, 1.25 * MIB)
    const error = await ingest(options(world, { path: file })).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'MILLRACE_FILE_CHANGED', place: file })
    await changeByte(file, 1.25 * MIB)
    expect((await ingest(options(world, { path: file }))).outcome).toBe('resumed')
  })
})

describe('an ingest', () => {
  test('that is stopped by its signal can be started again', async () => {
    await using world = await openWorld()
    const stop = new AbortController()
    const onProgress = (): void => stop.abort(new Error('enough'))
    const stopped = ingest(options(world, { signal: stop.signal, onProgress }))
    await expect(stopped).rejects.toThrow('enough')
    expect((await ingest(options(world))).outcome).toBe('resumed')
    expect(written(await rawChunks(world))).toEqual(undisturbed)
  })

  test('is fenced by a later one of the same video, and both together write it once', async () => {
    await using world = await openWorld()
    const later = Promise.withResolvers<string>()
    let begun = false
    const earlier = ingest(
      options(world, {
        onProgress: () => {
          if (begun) return
          begun = true
          void ingest(options(world)).then(({ outcome }) => later.resolve(outcome), later.reject)
        },
      }),
    )
    // Whoever is fenced says so; where the earlier one was quick enough, the later one finds it complete.
    const ended = await earlier.then(
      () => 'complete',
      (error: unknown) => (isMillraceError(error) ? error.code : String(error)),
    )
    expect(['MILLRACE_INGEST_TAKEN_OVER', 'complete']).toContain(ended)
    expect(['resumed', 'already complete']).toContain(await later.promise)
    expect(written(await rawChunks(world))).toEqual(undisturbed)
  })

  test('is told when a later one of the same video takes over', async () => {
    await using world = await openWorld()
    const fenced = (): TransportError =>
      new TransportError('MILLRACE_FENCED', 'fenced', { message: 'fenced' })
    const transport = failing(
      world.transport,
      { call: 'commit', count: 2, moment: 'before' },
      fenced,
    )
    await expect(ingest(options(world, { transport }))).rejects.toMatchObject({
      code: 'MILLRACE_INGEST_TAKEN_OVER',
      place: clip,
    })
  })

  test.each(['before', 'after'] as const)(
    'asks again for a commit whose outcome is unknown, which happened or not: %s',
    async (moment) => {
      await using world = await openWorld()
      const lost = (): TransportError =>
        new TransportError('MILLRACE_TIMED_OUT', 'retriable', { message: 'lost' })
      const transport = failing(world.transport, { call: 'commit', count: 2, moment }, lost)
      expect((await ingest(options(world, { transport }))).outcome).toBe('ingested')
      expect(written(await rawChunks(world))).toEqual(undisturbed)
      expect((await videoRows(world)).length).toBe(transactions)
    },
  )

  test('begins again from what is in the log when a transaction had to be aborted', async () => {
    await using world = await openWorld()
    const aborted = (): TransportError =>
      new TransportError('MILLRACE_ABORTED', 'abortable', { message: 'no' })
    const transport = failing(
      world.transport,
      { call: 'commit', count: 3, moment: 'before' },
      aborted,
    )
    expect((await ingest(options(world, { transport }))).outcome).toBe('resumed')
    expect(written(await rawChunks(world))).toEqual(undisturbed)
  })

  test('waits for the transaction of another that hides its own row, and does not begin anew', async () => {
    await using world = await openWorld()
    await world.transport.admin.createTopics(videoTopics({ chunkBytes: CHUNK_BYTES }))
    await using other = world.transport.openProducer({ transactionalId: 'another' })
    await other.init()
    let hiding: Promise<void> | undefined
    const onProgress = (): void => {
      if (hiding !== undefined) return
      const place = { topic: VIDEOS_TOPIC, partition: asPartition(0) }
      const record = { key: Buffer.from('z'), value: null, timestamp: 1, headers: NO_HEADERS }
      other.send({ ...place, ...record })
      hiding = other.flush().then(() => undefined)
    }
    // Its later rows come behind the other's record, and cannot be seen before that one's end.
    const transport = flushingAfter(world.transport, () => hiding)
    await ingest(options(world, { transport, onProgress }))
    const again = ingest(options(world))
    for (let i = 0; i < 50; i += 1) await world.clock.yield()
    await other.abort()
    expect((await again).outcome).toBe('already complete')
    expect(written(await rawChunks(world))).toEqual(undisturbed)
  })
})

describe('a file that changes while it is ingested', () => {
  const CHANGES: readonly [string, (file: string) => Promise<void>][] = [
    ['grows', (file) => appendFile(file, 'more')],
    ['shrinks', (file) => truncate(file, 3 * MIB)],
    ['is written over in place', (file) => changeByte(file, 4 * MIB)],
    [
      'is replaced',
      async (file) => {
        await copyFile(file, `${file}.new`)
        await rename(`${file}.new`, file)
      },
    ],
  ]

  test.each(CHANGES)('is noticed when it %s, and never looks complete', async (how, change) => {
    await using world = await openWorld()
    const file = await longFile(`changing-${how.replaceAll(' ', '-')}.mp4`)
    let changed: Promise<void> | undefined
    // The next commit waits for the change: the reading may run ahead of it as it likes.
    const transport = flushingAfter(world.transport, () => changed)
    const onProgress = (): void => void (changed ??= change(file))
    await expect(
      ingest(options(world, { transport, path: file, onProgress })),
    ).rejects.toMatchObject({
      code: 'MILLRACE_FILE_CHANGED',
      place: file,
    })
    expect((await videoRows(world)).map(({ status }) => status)).toEqual(['ingesting'])
    expect((await rawChunks(world)).some(({ chunk }) => chunk.last)).toBe(false)
  })
})

describe('an ingest whose log fails it at random', () => {
  test('ends with the same chunks, each once', async () => {
    const seed = drawnSeed(1_000_000)
    let allFailures = 0
    for (let round = 0; round < 12; round += 1) {
      const random = new SeededRandom(seed + round)
      let failures = 0
      let ended = false
      const decide = (): Fate | undefined => {
        if (ended || random.next() > 0.12 || ++failures > 40) return undefined
        return { outcome: random.next() < 0.5 ? 'refused' : 'lost' }
      }
      // A hundred times as fast: what is waited for is the same, the test need not sleep.
      const real = systemClock()
      const clock = { ...real, timer: (ms: number, run: () => void) => real.timer(ms / 100, run) }
      await using world = await openWorld('memory', clock, { decide })
      for (;;) {
        const tried = await ingest(options(world)).catch((error: unknown) => error)
        if (!(tried instanceof Error)) break
        expect(tried, `seed ${seed + round}`).toMatchObject({
          remedy: expect.stringMatching(/retry|rewind/),
        })
      }
      ended = true
      allFailures += failures
      expect(written(await rawChunks(world)), `seed ${seed + round}`).toEqual(undisturbed)
      expect((await videoRows(world)).length, `seed ${seed + round}`).toBe(transactions)
    }
    expect(allFailures).toBeGreaterThan(0)
  })
})

describe('an ingest whose first chunks retention has removed', () => {
  test('goes on by the checksum of all bytes, and compares what is still there', async () => {
    const clock = systemClock()
    await using log = memoryLog({ clock })
    const world = {
      transport: log,
      registry: memoryRegistry(),
      clock,
      [Symbol.asyncDispose]: async () => {},
    }
    const transport = crashing(log, { call: 'commit', count: 3, moment: 'before' })
    await expect(ingest(options(world, { transport }))).rejects.toBeInstanceOf(Crash)
    const place = { topic: RAW_TOPIC, partition: asPartition(0) }
    log.purgeBefore({ ...place, offset: asOffset(3) })
    expect((await ingest(options(world))).outcome).toBe('resumed')
    expect(log.records(place).length).toBe(undisturbed.length - 3)
  })
})
