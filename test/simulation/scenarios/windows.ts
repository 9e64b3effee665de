/**
 * Windows of time and joins of streams. A count by windows reads one topic, so which records come too
 * late is known from the input. A join reads two, whose turns nobody knows: its grace is longer than
 * all its records are apart, so that none is late, and what met nobody comes out at the end, when
 * records of a later time close every window.
 */
import { partitionForKey } from '../../../model/murmur2.ts'
import { joinWindows } from '../../../processors/join-windows.ts'
import { tumbling } from '../../../processors/time-windows.ts'
import { text } from '../../../serdes/primitives.ts'
import { timeWindowed } from '../../../serdes/windowed.ts'
import type { ProducerRecord } from '../../../transport/transport.ts'
import { Expected, inputRecord, PARTITIONS, type Outputs, type Scenario } from '../scenario.ts'

const SIZE_MS = 200
const GRACE_MS = 100
/** Records of the join meet where they are at most this far apart. */
const APART_MS = 150
const JOIN_GRACE_MS = 60_000
const AN_HOUR_MS = 3_600_000
const START_MS = 1_000_000

const KEYS = ['k0', 'k1', 'k2', 'k3', 'k4']

export const windows: Scenario = {
  name: 'windows',
  topics: ['taps', 'tapped', 'asks', 'replies', 'met', 'outer'],
  declare: ({ stream }) => {
    stream('taps', { key: text, value: text })
      .groupByKey()
      .windowedBy(tumbling(SIZE_MS, { graceMs: GRACE_MS }))
      .count({ store: 'taps' })
      .toStream()
      .mapValues(String)
      .to('tapped', { key: timeWindowed(text, SIZE_MS), value: text })
    const asks = stream('asks', { key: text, value: text })
    const replies = stream('replies', { key: text, value: text })
    const within = { windows: joinWindows(APART_MS, { graceMs: JOIN_GRACE_MS }), value: text }
    asks.join(replies, (ask, reply) => `${ask} ${reply}`, { ...within, store: 'met' }).to('met')
    asks
      .outerJoin(replies, (ask, reply) => `${ask} ${reply}`, { ...within, store: 'outer' })
      .to('outer')
  },
  input: (random) => {
    let timestamp = START_MS
    return Array.from({ length: 60 + random.below(30) }, (_, n) => {
      timestamp += random.below(50)
      const late = random.chance(0.2) ? random.below(500) : 0
      const topic = random.pick(['taps', 'taps', 'asks', 'replies'])
      return record(topic, random.pick(KEYS), { n: String(n), timestamp: timestamp - late })
    })
  },
  epilogue: () =>
    KEYS.flatMap((key) =>
      ['asks', 'replies'].map((topic) =>
        record(topic, key, { n: 'end', timestamp: START_MS + AN_HOUR_MS }),
      ),
    ),
  check: (found, input, guarantee) => {
    if (guarantee === 'at-least-once') return []
    return [...tapped(input).compare(found, guarantee, ['tapped']), ...wrongJoins(found, input)]
  },
}

function record(
  topic: string,
  key: string,
  { n, timestamp }: { readonly n: string; readonly timestamp: number },
): ProducerRecord {
  return inputRecord(topic, key, { value: `${topic.slice(0, 1)}${n}`, timestamp })
}

function tapped(input: readonly ProducerRecord[]): Expected {
  const outputs = new Expected()
  const times = new Map<number, number>()
  const counts = new Map<string, number>()
  for (const { topic, key, timestamp } of input) {
    if (topic !== 'taps' || key === null) continue
    const partition = partitionForKey(key, PARTITIONS)
    const now = Math.max(times.get(partition) ?? 0, timestamp)
    times.set(partition, now)
    const start = timestamp - (timestamp % SIZE_MS)
    if (start + SIZE_MS + GRACE_MS <= now) continue
    const window = Buffer.alloc(key.length + 8)
    key.copy(window)
    window.writeBigInt64BE(BigInt(start), key.length)
    const name = String(window)
    counts.set(name, (counts.get(name) ?? 0) + 1)
    outputs.put('tapped', name, String(counts.get(name)))
  }
  return outputs
}

/** Which pairs come out is known, their order is not. */
function wrongJoins(found: Outputs, input: readonly ProducerRecord[]): readonly string[] {
  const problems: string[] = []
  for (const key of KEYS) {
    const own = (topic: string) =>
      input.filter((one) => one.topic === topic && String(one.key) === key)
    const { pairs, alone } = meetings(own('asks'), own('replies'))
    for (const [topic, want] of [
      ['met', pairs],
      ['outer', [...pairs, ...alone]],
    ] as const) {
      const got = sorted((found(topic).get(key) ?? []).map(String))
      if (got === sorted(want)) continue
      problems.push(`${topic} ${key}: ${got} in place of ${sorted(want)}`)
    }
  }
  return problems
}

function meetings(
  asks: readonly ProducerRecord[],
  replies: readonly ProducerRecord[],
): { readonly pairs: string[]; readonly alone: string[] } {
  const isNear = (one: ProducerRecord, other: ProducerRecord): boolean =>
    Math.abs(one.timestamp - other.timestamp) <= APART_MS
  const pairs = asks.flatMap((ask) =>
    replies.filter((reply) => isNear(ask, reply)).map((reply) => `${textOf(ask)} ${textOf(reply)}`),
  )
  const alone = [
    ...asks
      .filter((ask) => !replies.some((reply) => isNear(ask, reply)))
      .map((ask) => `${textOf(ask)} null`),
    ...replies
      .filter((reply) => !asks.some((ask) => isNear(ask, reply)))
      .map((reply) => `null ${textOf(reply)}`),
  ]
  return { pairs, alone }
}

function sorted(values: readonly string[]): string {
  return values.toSorted().join(', ')
}

function textOf({ value }: ProducerRecord): string {
  return String(value)
}
