/** The watch over sources, on a clock moved by hand and a log whose answers a test gives. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { asTopic } from '../../model/position.ts'
import { SourceWatch } from '../../runtime/source-watch.ts'
import { handClock, type HandClock } from '../../testing/hand-clock.ts'
import type { TopicDescription } from '../../transport/transport.ts'

const INTERVAL_MS = 1_000
const SOURCE = asTopic('in')

let clock: HandClock
let partitions: number | 'gone' | 'no answer' | 'never'
let looks: number
let told: string[]
let watch: SourceWatch

beforeEach(() => {
  clock = handClock()
  partitions = 2
  looks = 0
  told = []
  watch = new SourceWatch({
    admin: { describeTopics },
    sources: [SOURCE],
    partitionsOf: () => 2,
    clock,
    intervalMs: INTERVAL_MS,
    onAdded: ({ code, message }) => told.push(`${code}: ${message}`),
  })
})

afterEach(() => watch[Symbol.asyncDispose]())

async function describeTopics(): Promise<readonly TopicDescription[]> {
  looks += 1
  if (partitions === 'no answer') throw new Error('no broker')
  if (partitions === 'never') return await new Promise(() => {})
  if (partitions === 'gone') return []
  return [{ topic: SOURCE, topicId: 'id', partitions, config: {} }]
}

describe('the watch over sources', () => {
  test('looks at each interval, and tells once that there are more partitions', async () => {
    await clock.advance(INTERVAL_MS - 1)
    expect(looks).toBe(0)
    await clock.advance(1)
    expect(looks).toBe(1)
    partitions = 3
    await clock.advance(5 * INTERVAL_MS)
    expect(told).toEqual([
      expect.stringMatching(
        /^MILLRACE_PARTITIONS_ADDED: the topic in has 3 partitions now and had 2/,
      ),
    ])
    expect(looks).toBe(2)
  })

  test('leaves a topic that is gone to its reader, and asks a log again that does not answer', async () => {
    for (partitions of ['gone', 'no answer', 1] as const) await clock.advance(INTERVAL_MS)
    expect(told).toEqual([])
    partitions = 4
    await clock.advance(INTERVAL_MS)
    expect(told).toHaveLength(1)
  })

  test('ends while it waits, and while it asks', async () => {
    await watch[Symbol.asyncDispose]()
    partitions = 'never'
    const asking = new SourceWatch({
      admin: { describeTopics },
      sources: [SOURCE],
      partitionsOf: () => 2,
      clock,
      intervalMs: INTERVAL_MS,
      onAdded: ({ code }) => told.push(code),
    })
    await clock.advance(INTERVAL_MS)
    await asking[Symbol.asyncDispose]()
    await clock.advance(INTERVAL_MS)
    expect(looks).toBe(1)
    expect(told).toEqual([])
  })
})
