/** Joins of two streams in running apps: over aborts, crashes, lost disks and slow steps. */
import { describe, expect, test } from 'vitest'
import type { FunctionEnricher } from '../../processors/enricher.ts'
import { joinWindows, type JoinWindows } from '../../processors/join-windows.ts'
import { text } from '../../serdes/primitives.ts'
import { topologyTestDriver } from '../../testing/topology-test-driver.ts'
import { topology } from '../../topology/builder.ts'
import type { Topology } from '../../topology/graph.ts'
import { TransportError } from '../../transport/errors.ts'
import { seeded } from '../state/fixtures-random.ts'
import { StreamJoinModel, type ModelKind, type ModelRecord } from '../topology/stream-join-model.ts'
import { drawnSeed } from '../seed.ts'
import { MemoryBench } from './memory-bench.ts'
import { gated } from './wrapped-transport.ts'

const SERDES = { key: text, value: text }
const KINDS = ['join', 'leftJoin', 'outerJoin'] as const
const RUNS = 40

/** Both sides in one topic, told apart by a header, so that the order of all records is known. */
function joining(kind: ModelKind, windows: JoinWindows): Topology {
  return topology('joins', ({ stream }) => {
    const all = stream('in', SERDES)
    const of = (side: string) =>
      all.filter(({ headers }) => String(headers[0]?.value).startsWith(side))
    const [left, right] = [of('left'), of('right')]
    const join = (a: string | null, b: string | null): string => `${a}+${b}`
    const step = { windows, value: text, store: 'both' }
    switch (kind) {
      case 'join':
        return left.join(right, join, step).to('out')
      case 'leftJoin':
        return left.leftJoin(right, join, step).to('out')
      case 'outerJoin':
        return left.outerJoin(right, join, step).to('out')
      default:
        return kind satisfies never
    }
  })
}

/** Records in an order of arrival that is mostly that of their times. */
function randomRecords(random: (below: number) => number, count: number): readonly ModelRecord[] {
  let now = 1000
  return Array.from({ length: count }, (_, at) => {
    now += random(12) + (random(20) === 0 ? random(200) : 0)
    const side = random(2) === 0 ? 'left' : 'right'
    return {
      side,
      key: random(12) === 0 ? null : String(random(4)),
      value: random(10) === 0 ? null : `${side[0]}${at}`,
      timestampMs: random(4) === 0 ? Math.max(0, now - random(150)) : now,
      header: `${side}-${at}`,
    }
  })
}

function randomWindows(random: (below: number) => number): JoinWindows {
  const afterMs = random(60)
  const beforeMs = random(5) === 0 ? -random(afterMs + 1) : random(60)
  return joinWindows(0, { beforeMs, afterMs, graceMs: random(2) * random(50) })
}

/** A log, a join, and what goes wrong with it by chance. */
class RandomRun {
  readonly #bench: MemoryBench
  readonly #random: (below: number) => number
  readonly #kind: ModelKind
  readonly #windows: JoinWindows
  #aborts = 0

  static async of(seed: number): Promise<RandomRun> {
    return new RandomRun(await MemoryBench.with(['in', 'out']), seed)
  }

  private constructor(bench: MemoryBench, seed: number) {
    this.#bench = bench
    this.#random = seeded(seed)
    this.#kind = KINDS[seed % KINDS.length] ?? 'join'
    this.#windows = randomWindows(this.#random)
  }

  /** How many records came out. */
  async check(): Promise<number> {
    const records = randomRecords(this.#random, 120)
    for (let at = 0; at < records.length;) {
      const next = at + 1 + this.#random(25)
      await this.#life(records.slice(at, next))
      at = next
    }
    await this.#life([])
    const model = new StreamJoinModel(this.#kind, this.#windows, 'here')
    const wanted = records.flatMap((record) => model.take(record))
    expect(this.#outputs()).toEqual(wanted)
    return wanted.length
  }

  /** One process, which takes in some records and ends one way or the other. */
  async #life(records: readonly ModelRecord[]): Promise<void> {
    const bench = this.#bench
    const life = await bench.start(joining(this.#kind, this.#windows), {
      limits: { commitIntervalMs: 20 },
      wrap: (transport) => gated(transport, { beforeCommit: async () => this.#mayAbort() }),
    })
    await bench.produce(
      'in',
      records.map(({ key, value, timestampMs: timestamp, header }) => {
        const headers = [{ key: 'h', value: Buffer.from(header) }]
        return { key, value, timestamp, headers }
      }),
    )
    if (records.length > 0 && this.#random(3) === 0) {
      // In the middle of something, or before it began.
      await bench.pass(this.#random(60))
      life.kill()
      if (this.#random(2) === 0) bench.disks.clear()
      return
    }
    await life.caughtUp()
    await life.close()
  }

  /** Twice in a row at most: a unit that never gets on gives up. */
  #mayAbort(): void {
    this.#aborts = this.#random(3) === 0 && this.#aborts < 2 ? this.#aborts + 1 : 0
    if (this.#aborts === 0) return
    const message = 'by the test'
    throw new TransportError('MILLRACE_TRANSACTION_ABORTED', 'abortable', { message })
  }

  #outputs(): readonly string[] {
    return this.#bench.records('out').map(({ key, value, timestamp, headers }) => {
      const texts = [key === null ? '~' : String(key), String(value), timestamp]
      return [...texts, String(headers[0]?.value)].join(' ')
    })
  }
}

describe('a join of two streams', () => {
  test('gives the same over aborts, crashes and lost disks, and what the model gives', async () => {
    const first = drawnSeed(1e6)
    let outputs = 0
    for (let seed = first; seed < first + RUNS; seed++) {
      try {
        outputs += await (await RandomRun.of(seed)).check()
      } catch (error) {
        throw new Error(`with MILLRACE_SEED=${seed}`, { cause: error })
      }
    }
    expect(outputs).toBeGreaterThan(RUNS)
  })

  test('has the time of records that it does not keep, after a lost disk too', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    const windows = joinWindows(10)
    const feed = async (side: string, key: string, value: string | null, timestamp: number) => {
      const life = await bench.start(joining('leftJoin', windows))
      const headers = [{ key: 'h', value: Buffer.from(side) }]
      await bench.produce('in', [{ key, value, timestamp, headers }])
      await life.caughtUp()
      life.kill()
      bench.disks.clear()
    }
    await feed('left', 'a', 'early', 100)
    await feed('right', 'b', null, 500)
    // Nobody can meet it any more, so it does not wait.
    await feed('left', 'c', 'late', 300)
    expect(bench.texts('out')).toEqual(['c=late+null'])
    await feed('left', 'd', 'now', 501)
    expect(bench.texts('out')).toEqual(['c=late+null', 'a=early+null'])
    // Its own record tells the time again.
    const changelog = bench.records('joins-both-left-shared-join-store-changelog')
    const marks = changelog.filter(({ key }) => key?.length === 9 && key[8] === 2)
    expect(marks.map(({ value }) => value === null)).toEqual([false, true])
  })

  test('waits for what a slow step before one side still has', async () => {
    const answers: (() => void)[] = []
    const slow: FunctionEnricher<string, string, string> = {
      kind: 'function',
      value: text,
      call: async ({ value }) => {
        await new Promise<void>((answer) => void answers.push(answer))
        return value
      },
    }
    const pipeline = topology('slow', ({ stream }) => {
      const raw = stream('in', SERDES)
      raw
        .leftJoin(raw.enrich('slow', slow, { orderBy: 'none' }), (a, b) => `${a}+${b}`, {
          windows: joinWindows(10, { graceMs: 5 }),
          value: text,
        })
        .to('out')
    })
    await using driver = await topologyTestDriver(pipeline)
    const input = driver.input('in', SERDES)
    const output = driver.output('out', SERDES)
    await input.pipe('a', 'A', { timestampMs: 100 })
    await input.pipe('b', 'B', { timestampMs: 500 })
    await input.pipe('c', 'C', { timestampMs: 900 })
    expect(await output.readKeyValues()).toEqual([])
    answers[0]?.()
    await driver.advanceWallClock(1)
    expect(await output.readKeyValues()).toEqual([['a', 'A+A']])
    // The answer of b never comes in time for anybody, yet it is waited for: c's changes nothing.
    answers[2]?.()
    await driver.advanceWallClock(1)
    expect(await output.readKeyValues()).toEqual([['c', 'C+C']])
    answers[1]?.()
    await driver.advanceWallClock(1)
    expect(await output.readKeyValues()).toEqual([['b', 'B+B']])
  })

  test('leaves a record waiting whose partner failed and was skipped', async () => {
    const bench = await MemoryBench.with(['left', 'right', 'out'])
    const pipeline = topology('joins', ({ stream }) => {
      const join = (a: string, b: string | null): string => {
        if (b === 'bad') throw new Error('bad')
        return `${a}+${b}`
      }
      stream('left', SERDES)
        .leftJoin(stream('right', SERDES), join, { windows: joinWindows(10), value: text })
        .to('out')
    })
    const life = await bench.start(pipeline, { failures: { processing: 'skip' } })
    const feed = async (topic: string, key: string, value: string, timestamp: number) => {
      await bench.produce(topic, [{ key, value, timestamp }])
      await life.caughtUp()
    }
    await feed('left', 'a', 'A', 100)
    await feed('left', 'b', 'B', 100)
    await feed('right', 'a', 'bad', 101)
    await feed('right', 'b', 'bad', 101)
    await feed('right', 'a', 'good', 102)
    await feed('left', 'c', 'C', 111)
    expect(bench.texts('out')).toEqual(['a=A+good', 'b=B+null'])
    await life.close()
  })

  test('logs what waits in the bytes of Kafka Streams', async () => {
    await using driver = await topologyTestDriver(joining('outerJoin', joinWindows(10)))
    const input = driver.input('in', SERDES)
    const pipe = async (side: string, key: string, value: string, timestampMs: number) => {
      await input.pipe(key, value, {
        timestampMs,
        headers: [{ key: 'h', value: Buffer.from(side) }],
      })
    }
    await pipe('left', 'k', 'A', 7)
    await pipe('left', 'k', 'BC', 7)
    await pipe('right', 'z', 'R', 8)
    const log = driver.output('joins-both-outer-shared-join-store-changelog', {
      key: hex,
      value: hex,
    })
    expect(await log.readKeyValues()).toEqual([
      ['0000000000000007016b', '01000000010000000201' + '41'],
      ['0000000000000007016b', '0100000002' + '000000020141' + '00000003014243'],
      ['0000000000000008007a', '0100000001' + '000000020052'],
    ])
  })
})

/** Bytes as hexadecimal digits. */
const hex = {
  name: 'hex',
  open: async () => ({
    prefix: Buffer.alloc(0),
    serialize: (value: string) => Buffer.from(value, 'hex'),
    deserialize: (buffer: Buffer, start: number, end: number) => buffer.toString('hex', start, end),
  }),
}
