/**
 * What the simulation runs: one topology with every kind of step that state, time and asynchrony can
 * go wrong in, a random input, and what must come out, computed from the input alone.
 */
import type { Clock } from '../../model/clock.ts'
import { sleep } from '../../model/clock.ts'
import { asPartition, asTopic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { partitionForKey } from '../../model/murmur2.ts'
import type { EnrichSession, SessionEnricher, FunctionEnricher } from '../../processors/enricher.ts'
import { json } from '../../serdes/json.ts'
import { text } from '../../serdes/primitives.ts'
import type { SeededRandom } from '../../testing/seeded-random.ts'
import { topology } from '../../topology/builder.ts'
import type { Topology } from '../../topology/graph.ts'
import type { NewTopic, ProducerRecord } from '../../transport/transport.ts'

/** A record of the input topic `parts`: one part of a group, like a chunk of a video. */
export interface Part {
  readonly group: string
  readonly index: number
  readonly last: boolean
  readonly size: number
}

/** What a session says of a part: the sizes of the group up to it, so that a lost or doubled push shows. */
export interface Sum {
  readonly group: string
  readonly index: number
  readonly sum: number
}

export const PARTITIONS = 2

export const TOPICS: readonly NewTopic[] = [
  'words',
  'parts',
  'counts',
  'echo',
  'called',
  'sums',
  'joined',
  'letters',
].map((topic) => ({ topic: asTopic(topic), partitions: PARTITIONS }))

const groupOf = (key: string): string => key.slice(0, key.indexOf('/'))

/** The topology, with services that take simulated time and sometimes fail. */
export function scenarioTopology(clock: Clock, random: SeededRandom): Topology {
  return topology('sim', ({ stream }) => {
    const words = stream('words', { key: text, value: text })
    words
      .groupByKey()
      .count({ store: 'word-counts' })
      .toStream()
      .mapValues(String)
      .to('counts', { value: text })
    words.filter(({ value }) => value !== 'skip').to('echo')
    words
      .enrich('call', caller(clock, random), { calls: 3, backoffMs: 5, attempts: 1000 })
      .to('called')

    words
      .groupBy(({ value }) => value.slice(0, 2), { key: text, name: 'by-letters' })
      .count({ store: 'letter-counts' })
      .toStream()
      .mapValues(String)
      .to('letters', { value: text })

    const parts = stream('parts', {
      key: text,
      value: json<Part>(),
      partitionBy: groupOf,
    }).byReference()
    const sums = parts.enrich('sum', summer(clock, random), {
      orderBy: groupOf,
      sessions: 2,
      backoffMs: 5,
      attempts: 1000,
    })
    sums.to('sums')
    parts
      .joinOnce('meet', sums, (part, sum) => ({ size: part.sizeBytes, ...sum }), {
        expireAfter: 3_600_000,
      })
      .to('joined', { value: json<Sum & { size: number }>() })
  })
}

/** Answers in upper case, after a while, after failing now and then. */
function caller(clock: Clock, random: SeededRandom): FunctionEnricher<string, string, string> {
  return {
    kind: 'function',
    value: text,
    call: async ({ value }, { signal }) => {
      await sleep(clock, random.below(60), signal)
      if (random.chance(0.1)) throw new Error('the service had a bad moment')
      return value.toUpperCase()
    },
  }
}

/** Answers a part when the next one has come, or at the end: like a shot, it is known only when it is over. */
function summer(clock: Clock, random: SeededRandom): SessionEnricher<string, Part, Sum> {
  return {
    kind: 'session',
    value: json<Sum>(),
    isLast: ({ value }) => value.last,
    open: async ({ signal }) => {
      await sleep(clock, random.below(20), signal)
      return new SumSession(clock, random)
    },
  }
}

class SumSession implements EnrichSession<string, Part, Sum> {
  readonly #clock: Clock
  readonly #random: SeededRandom
  #sum = 0
  #next = 0
  #waiting: { readonly settle: () => void } | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(clock: Clock, random: SeededRandom) {
    this.#clock = clock
    this.#random = random
  }

  push({ value }: { readonly value: Part }) {
    const result = Promise.withResolvers<Sum>()
    this.#last = result.promise
    result.promise.catch(() => {})
    if (value.index !== this.#next) {
      result.reject(new Error(`part ${value.index} came where ${this.#next} was due`))
    }
    this.#next += 1
    this.#sum += value.size
    const answer = { group: value.group, index: value.index, sum: this.#sum }
    this.#waiting?.settle()
    const delayMs = this.#random.below(30)
    const fails = this.#random.chance(0.03)
    this.#waiting = {
      settle: () =>
        this.#clock.timer(delayMs, () => {
          if (fails) result.reject(new Error('the stream broke'))
          else result.resolve(answer)
        }),
    }
    return { taken: sleep(this.#clock, this.#random.below(10)), result: result.promise }
  }

  async end(): Promise<void> {
    this.#waiting?.settle()
    await this.#last
  }

  abort(): void {
    this.#waiting = undefined
  }
}

/** A random input, as records in the order they are produced. */
export function scenarioInput(random: SeededRandom): readonly ProducerRecord[] {
  const records: ProducerRecord[] = []
  const groups = Array.from({ length: 3 + random.below(3) }, (_, i) => ({
    group: `g${i}`,
    index: 0,
    parts: 2 + random.below(6),
  }))
  for (let i = 0, timestamp = 1_000_000; i < 80; i += 1) {
    timestamp += random.below(50)
    const open = groups.filter(({ index, parts }) => index < parts)
    if (open.length > 0 && random.chance(0.4)) {
      const group = random.pick(open)
      records.push(partRecord(group, { timestamp, size: random.below(1000) }))
      group.index += 1
    } else {
      const key = `w${random.below(6)}`
      const value = random.chance(0.1) ? 'skip' : `n${i}`
      records.push(recordOf('words', key, { value: Buffer.from(value), timestamp, place: key }))
    }
  }
  for (const group of groups) {
    for (; group.index < group.parts; group.index += 1) {
      records.push(partRecord(group, { timestamp: 2_000_000, size: random.below(1000) }))
    }
  }
  return records
}

function partRecord(
  { group, index, parts }: { group: string; index: number; parts: number },
  { timestamp, size }: { timestamp: number; size: number },
): ProducerRecord {
  const part: Part = { group, index, last: index === parts - 1, size }
  const value = Buffer.from(JSON.stringify(part))
  return recordOf('parts', `${group}/${index}`, { value, timestamp, place: group })
}

function recordOf(
  topic: string,
  key: string,
  { value, timestamp, place }: { value: Buffer; timestamp: number; place: string },
): ProducerRecord {
  return {
    topic: asTopic(topic),
    partition: asPartition(partitionForKey(Buffer.from(place), PARTITIONS)),
    key: Buffer.from(key),
    value,
    timestamp,
    headers: NO_HEADERS,
  }
}

/** For each output topic, the values of each key in order. */
export function expectedOutputs(
  input: readonly ProducerRecord[],
): ReadonlyMap<string, ReadonlyMap<string, readonly string[]>> {
  const outputs = new Map<string, Map<string, string[]>>()
  const put = (topic: string, key: string, value: string): void => {
    const keys = outputs.get(topic) ?? new Map<string, string[]>()
    outputs.set(topic, keys.set(key, [...(keys.get(key) ?? []), value]))
  }
  const counts = new Map<string, number>()
  const lettered = new Map<string, number>()
  const sums = new Map<string, number>()
  for (const { topic, key, value } of input) {
    const name = String(key)
    const body = String(value)
    if (topic === 'words') {
      counts.set(name, (counts.get(name) ?? 0) + 1)
      const letters = body.slice(0, 2)
      lettered.set(letters, (lettered.get(letters) ?? 0) + 1)
      put('letters', letters, String(lettered.get(letters)))
      put('counts', name, String(counts.get(name)))
      if (body !== 'skip') put('echo', name, body)
      put('called', name, body.toUpperCase())
    } else {
      const part = JSON.parse(body) as Part
      const sum = (sums.get(part.group) ?? 0) + part.size
      sums.set(part.group, sum)
      const answer = { group: part.group, index: part.index, sum }
      put('sums', name, JSON.stringify(answer))
      put('joined', name, JSON.stringify({ size: body.length, ...answer }))
    }
  }
  return outputs
}
