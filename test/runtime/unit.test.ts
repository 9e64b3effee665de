/** When a unit that fails is tried again, and when it is given up. */
import { describe, expect, test } from 'vitest'
import { TransportError } from '../../transport/errors.ts'
import type { Reader, Transport } from '../../transport/transport.ts'
import { isMillraceError } from '../../model/errors.ts'
import { counting } from './counting.ts'
import { MemoryBench, type Life, type LifeOptions } from './memory-bench.ts'
import { silenceOf } from './silence.ts'
import { gated } from './wrapped-transport.ts'

const GROUP: LifeOptions = { assignment: { kind: 'group' } }
const MINUTE_MS = 60_000

const passing = () => new TransportError('MILLRACE_TEST', 'retriable', { message: 'in passing' })

/** The transport whose readers are changed. */
function withReaders(transport: Transport, change: (reader: Reader) => Reader): Transport {
  return {
    admin: transport.admin,
    openReader: (options) => change(transport.openReader(options)),
    openMembership: (options) => transport.openMembership(options),
    openProducer: (options) => transport.openProducer(options),
    [Symbol.asyncDispose]: async () => await transport[Symbol.asyncDispose](),
  }
}

/** Lets each record loop fail so long after it began to wait for records. */
function failingAfter(bench: MemoryBench, delayMs: number): LifeOptions {
  return {
    wrap: (transport) =>
      withReaders(transport, (reader) => {
        const ready = reader.ready.bind(reader)
        let failing: Promise<never> | undefined
        const fail = async (): Promise<never> => {
          await new Promise<void>((resolve) => bench.clock.timer(delayMs, resolve))
          throw passing()
        }
        return Object.assign(reader, {
          ready: async (signal?: AbortSignal) => {
            // A restore waits with a signal.
            if (signal !== undefined) return await ready(signal)
            await Promise.race([ready(), (failing ??= fail())])
          },
        })
      }),
  }
}

/** Lets each restore get so many batches, and fail after a while. */
function restoring(bench: MemoryBench, limits: { batches: number; delayMs: number }): LifeOptions {
  return {
    // A batch at a time, and to disk at once.
    limits: { prefetchBytes: 1, replayBytes: 0 },
    wrap: (transport) =>
      withReaders(transport, (reader) => {
        const [open, ready] = [reader.open.bind(reader), reader.ready.bind(reader)]
        let left = limits.batches
        return Object.assign(reader, {
          open: (...args: Parameters<Reader['open']>) => {
            const cursor = open(...args)
            if (!args[0].topic.endsWith('-changelog')) return cursor
            const take = cursor.take.bind(cursor)
            return Object.assign(cursor, {
              take: () => {
                const batch = left > 0 ? take() : undefined
                if (batch !== undefined) left -= 1
                return batch
              },
            })
          },
          ready: async (signal?: AbortSignal) => {
            if (signal === undefined || left > 0) return await ready(signal)
            await new Promise<void>((resolve) => bench.clock.timer(limits.delayMs, resolve))
            throw passing()
          },
        })
      }),
  }
}

const restarts = ({ events }: Life) =>
  events.flatMap((event) => (event.kind === 'restarting' ? [event] : []))

describe('an app that had nothing to commit for longer than a unit may fail', () => {
  test.each([
    ['a spare without tasks', 1, 'goes on'],
    ['a member whose topic is quiet', 2, 'goes on'],
    ['a member that is paused while records wait', 2, 'is paused'],
  ])('starts over after its first failure: %s', async (_, partitions, how) => {
    const silence = silenceOf('life-2')
    const bench = new MemoryBench(silence)
    await bench.createTopics(['in', 'out'], partitions)
    const first = await bench.start(counting, { machine: 'a', ...GROUP })
    const places = Array.from({ length: partitions }, (_, partition) => ({ partition }))
    const records = places.map((at) => ({ key: 'k', value: 'x', ...at }))
    await bench.produce('in', records)
    await bench.pass(5_000)
    const second = await bench.start(counting, { machine: 'b', ...GROUP })
    if (how === 'is paused') {
      for (const { app } of [first, second]) app.pause()
      await bench.produce('in', records)
    }
    for (const times of [1, 2]) {
      await bench.pass(10 * MINUTE_MS)
      silence.isSilent = true
      await bench.pass(MINUTE_MS)
      silence.isSilent = false
      await bench.pass(MINUTE_MS)
      expect(second.app.state).toBe('running')
      const codes = restarts(second).map(({ error }) => isMillraceError(error) && error.code)
      expect(codes).toEqual(Array.from({ length: times }, () => 'MILLRACE_GROUP_LOST'))
    }
    await second.close()
    await first.close()
  })
})

describe('an app whose every life fails', () => {
  test('as soon as it is settled is given up at the deadline, with growing waits before', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    const life = await bench.start(counting, failingAfter(bench, 1_000))
    expect(await bench.settle(life.failure())).toMatchObject({ code: 'MILLRACE_TEST' })
    expect(bench.clock.monotonic()).toBeGreaterThan(5 * MINUTE_MS)
    expect(bench.clock.monotonic()).toBeLessThan(6 * MINUTE_MS)
    const delays = restarts(life).map(({ delayMs }) => delayMs)
    expect(delays[0]).toBeLessThanOrEqual(100)
    expect(Math.max(...delays)).toBeGreaterThan(2_000)
  })

  test('after a time with nothing left to do goes on', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    const life = await bench.start(counting, failingAfter(bench, 20_000))
    await bench.pass(20 * MINUTE_MS)
    expect(life.app.state).toBe('running')
    expect(restarts(life).length).toBeGreaterThan(50)
    expect(Math.max(...restarts(life).map(({ delayMs }) => delayMs))).toBeLessThanOrEqual(100)
    await life.close()
  })
})

describe('access that is refused', () => {
  /** Whether it is just now. */
  let isRefused = false
  const beforeCommit = async (): Promise<void> => {
    if (!isRefused) return
    throw new TransportError('MILLRACE_TEST', 'fatal', { message: 'not you', isAccess: true })
  }
  const guarded: LifeOptions = { wrap: (transport) => gated(transport, { beforeCommit }) }
  const record = { key: 'k', value: 'x' }

  test('ends an app that has never worked at once, though its start was let in', async () => {
    isRefused = false
    const bench = await MemoryBench.with(['in', 'out'])
    const life = await bench.start(counting, guarded)
    isRefused = true
    await bench.produce('in', [record])
    expect(await bench.settle(life.failure())).toMatchObject({ message: 'not you' })
    expect(restarts(life)).toEqual([])
    expect(bench.clock.monotonic()).toBeLessThan(MINUTE_MS)
  })

  test.each([
    ['that has worked', [record], 1_000],
    ['that has rested', [], 20_000],
  ])('is asked for again by an app %s, which goes on with it', async (_, before, ms) => {
    isRefused = false
    const bench = await MemoryBench.with(['in', 'out'])
    const life = await bench.start(counting, guarded)
    await bench.produce('in', before)
    await bench.pass(ms)
    isRefused = true
    await bench.produce('in', [record])
    await bench.pass(4 * MINUTE_MS)
    expect(life.app.state).toBe('running')
    expect(restarts(life).length).toBeGreaterThan(50)
    isRefused = false
    await bench.produce('in', [record])
    await life.caughtUp()
    expect(bench.texts('out')).toEqual([...before, record, record].map((_, n) => `k=${n + 1}`))
    await life.close()
  })

  test('ends an app that has worked after the time that a unit may fail', async () => {
    isRefused = false
    const bench = await MemoryBench.with(['in', 'out'])
    const life = await bench.start(counting, guarded)
    await bench.produce('in', [record])
    await life.caughtUp()
    isRefused = true
    const beganMs = bench.clock.monotonic()
    await bench.produce('in', [record])
    expect(await bench.settle(life.failure())).toMatchObject({ message: 'not you' })
    expect(bench.clock.monotonic() - beganMs).toBeGreaterThan(5 * MINUTE_MS)
    expect(bench.clock.monotonic() - beganMs).toBeLessThan(6 * MINUTE_MS)
  })
})

describe('a long restore', () => {
  const COMMITS = 6

  /** An app that has lost its disk after so many commits. */
  async function lostDisk(): Promise<MemoryBench> {
    const bench = await MemoryBench.with(['in', 'out'])
    const life = await bench.start(counting)
    for (let n = 0; n < COMMITS; n += 1) {
      await bench.produce('in', [{ key: `key-${n}`, value: 'x' }])
      await life.caughtUp()
    }
    await life.close()
    bench.disks.clear()
    return bench
  }

  test('goes on through failures as long as each life brings something to disk', async () => {
    const bench = await lostDisk()
    // What a commit has written, and its marker.
    const life = bench.life(counting, restoring(bench, { batches: 2, delayMs: 6 * MINUTE_MS }))
    const failure = life.app.start().catch((error: unknown) => error)
    await bench.pass(COMMITS * 7 * MINUTE_MS)
    expect(await failure).toBeUndefined()
    expect(restarts(life)).toHaveLength(COMMITS - 1)
    await bench.produce('in', [{ key: 'key-0', value: 'x' }])
    await life.caughtUp()
    expect(bench.texts('out').at(-1)).toBe('key-0=2')
    await life.close()
  })

  test('is given up where it does not get on', async () => {
    const bench = await lostDisk()
    const life = bench.life(counting, restoring(bench, { batches: 0, delayMs: MINUTE_MS }))
    const failed = expect(life.app.start()).rejects.toMatchObject({ code: 'MILLRACE_TEST' })
    await bench.pass(7 * MINUTE_MS)
    await failed
    expect(restarts(life)).toHaveLength(5)
  })
})
