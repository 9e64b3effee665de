/**
 * A log beside a model of it: random appends in and outside transactions, commits, aborts, deletions,
 * compactions by hand and by the cleaner, tombstones whose time ends, and openings, each by chance.
 * What a reader then sees must be what the model allows.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { asOffset } from '../../model/position.ts'
import { SeededRandom } from '../../testing/seeded-random.ts'
import type { Producer } from '../../transport/transport.ts'
import { drawnSeed } from '../seed.ts'
import { AT, CleaningBench } from './cleaning-bench.ts'

const TOMBSTONE_MS = 1_000
const STEPS = 250

const root = await mkdtemp(join(tmpdir(), 'millrace-model-'))
afterAll(() => rm(root, { recursive: true, force: true }))

const first = drawnSeed()
for (const seed of [first, first + 1, first + 2]) {
  it(`a log that is cleaned again and again is what a model says (seed ${seed})`, async () => {
    const run = new Run(seed)
    await run.all()
  })
}

/** A record that was acknowledged. */
interface Written {
  readonly offset: number
  readonly key: string
  readonly value: string | null
  /** Of its transaction. */
  state: 'open' | 'committed' | 'aborted'
}

class Run {
  readonly #random: SeededRandom
  readonly #folder: string
  /** Few, so that most records are replaced, or more than a round of compaction has room for. */
  readonly #keys: number
  readonly #time = { now: 1_700_000_000_000 }
  readonly #written: Written[] = []
  #bench: CleaningBench | undefined
  #producers: { readonly plain: Producer; readonly transactional: readonly Producer[] } | undefined
  #open = new Map<Producer, Written[]>()
  #start = 0
  #count = 0

  constructor(seed: number) {
    this.#random = new SeededRandom(seed)
    this.#folder = join(root, `seed-${seed}`)
    this.#keys = this.#random.pick([3, 12, 150])
  }

  async all(): Promise<void> {
    await this.#reopen()
    for (let step = 0; step < STEPS; step += 1) {
      await this.#step()
      if (step % 10 === 9) await this.#check()
    }
    for (const producer of this.#made().transactional) await this.#end(producer)
    await this.#used().log.compact(AT)
    await this.#check()
    const keys = (await this.#used().texts()).map((text) => text.split(/[ =]/)[1])
    expect(new Set(keys).size, 'of each key one record is left').toBe(keys.length)
    await this.#reopen()
    await this.#check()
    expect(this.#used().failures).toEqual([])
    await this.#used()[Symbol.asyncDispose]()
  }

  async #step(): Promise<void> {
    const random = this.#random
    const bench = this.#used()
    const { plain, transactional } = this.#made()
    const what = random.below(20)
    if (what < 6) await this.#write(plain, 'committed')
    else if (what < 12) await this.#write(random.pick(transactional), 'open')
    else if (what < 15) await this.#end(random.pick(transactional))
    else if (what < 16) this.#time.now += random.below(TOMBSTONE_MS)
    else if (what < 17) await bench.log.compact(AT)
    else if (what < 18) await this.#delete(bench)
    else if (random.chance(0.2)) await this.#reopen()
  }

  async #write(producer: Producer, state: Written['state']): Promise<void> {
    const bench = this.#used()
    const count = 1 + this.#random.below(Math.max(6, this.#keys / 3))
    const records = Array.from({ length: count }, () => {
      this.#count += 1
      const key = `k${this.#random.below(this.#keys)}`
      const padding = 'x'.repeat(Math.floor(this.#random.next() ** 8 * 20_000))
      return { key, value: this.#random.chance(0.2) ? null : `${this.#count}${padding}` }
    })
    for (const { key, value } of records) {
      bench.put(producer, key, value === null ? null : Buffer.from(value))
    }
    const [last] = await producer.flush()
    const base = (last?.offset ?? 0) + 1 - count
    const written = records.map((record, index) => ({ ...record, offset: base + index, state }))
    this.#written.push(...written)
    if (state === 'open') {
      this.#open.set(producer, [...(this.#open.get(producer) ?? []), ...written])
    }
  }

  async #end(producer: Producer): Promise<void> {
    const isCommit = this.#random.chance(0.6)
    await (isCommit ? producer.commit() : producer.abort())
    for (const one of this.#open.get(producer) ?? []) one.state = isCommit ? 'committed' : 'aborted'
    this.#open.delete(producer)
  }

  async #delete(bench: CleaningBench): Promise<void> {
    const end = await bench.end()
    const offset = this.#start + Math.floor(this.#random.next() ** 3 * (end - this.#start + 1))
    await bench.log.admin.deleteRecords([{ ...AT, offset: asOffset(offset) }])
    this.#start = Math.max(this.#start, offset)
  }

  /** Closes it, or ends it as a crash does; what was open is aborted. */
  async #reopen(): Promise<void> {
    const before = this.#bench
    if (before !== undefined) {
      if (this.#random.chance(0.5)) await before.log.abandon()
      else await before[Symbol.asyncDispose]()
      expect(before.failures).toEqual([])
    }
    const options = {
      cleanIntervalMs: 1 + this.#random.below(20),
      cleanRunBytes: this.#random.pick([1, 10_000, 1e9]),
      cleanKeyBytes: this.#random.pick([1, 1e6]),
      openFiles: 1 + this.#random.below(4),
    }
    const bench = await CleaningBench.open(this.#folder, options, this.#time)
    this.#bench = bench
    if (before === undefined) {
      await bench.create({
        'cleanup.policy': 'compact',
        'segment.bytes': String(this.#random.pick([300, 2_000, 30_000])),
        'min.cleanable.dirty.ratio': '0.3',
        'delete.retention.ms': String(TOMBSTONE_MS),
      })
    }
    for (const records of this.#open.values()) for (const one of records) one.state = 'aborted'
    this.#open = new Map()
    this.#producers = {
      plain: await bench.producer(),
      transactional: [await bench.producer('one'), await bench.producer('two')],
    }
  }

  async #check(): Promise<void> {
    const bench = this.#used()
    expect(await bench.earliest()).toBe(this.#start)
    const end = (this.#written.at(-1)?.offset ?? -1) + 1
    expect(await bench.end('read_uncommitted')).toBe(end)
    const stable = this.#written.find(({ state }) => state === 'open')?.offset ?? end
    expect(await bench.end()).toBe(stable)
    const texts = await bench.texts()
    const shown = new Set(texts)
    const committed = this.#written.filter(
      ({ offset, state }) => state === 'committed' && offset >= this.#start && offset < stable,
    )
    const possible = new Set(committed.map(textOf))
    for (const text of texts) expect(possible, 'what is shown was committed').toContain(text)
    expect(texts).toEqual([...texts].sort((a, b) => Number.parseInt(a) - Number.parseInt(b)))
    for (const [key, last] of lastOf(committed)) {
      // A tombstone may be gone, and then nothing of its key is left.
      if (last.value !== null) expect(shown, `the last of ${key}`).toContain(textOf(last))
      else if (!shown.has(textOf(last))) {
        const older = texts.filter((text) => text.split(/[ =]/)[1] === key)
        expect(older, `${key} was deleted at ${last.offset}`).toEqual([])
      }
    }
    const ahead = new Set(await bench.texts('read_uncommitted'))
    for (const one of this.#written) {
      if (one.state !== 'aborted' && one.offset >= stable) expect(ahead).toContain(textOf(one))
    }
  }

  #used(): CleaningBench {
    if (this.#bench === undefined) throw new TypeError('no log is open')
    return this.#bench
  }

  #made() {
    if (this.#producers === undefined) throw new TypeError('no log is open')
    return this.#producers
  }
}

function lastOf(written: readonly Written[]): ReadonlyMap<string, Written> {
  return new Map(written.map((one) => [one.key, one]))
}

function textOf({ offset, key, value }: Written): string {
  return `${offset} ${key}${value === null ? '' : `=${value}`}`
}
