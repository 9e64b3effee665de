import { describe, expect, test } from 'vitest'
import { text } from '../../serdes/primitives.ts'
import { topologyTestDriver } from '../../testing/topology-test-driver.ts'
import { topology } from '../../topology/builder.ts'
import type { TimestampExtractor } from '../../topology/graph.ts'
import * as timestamps from '../../topology/timestamps.ts'

const SERDES = { key: text, value: text }

/** The timestamps that come out where records with these come in, and how many were left out. */
async function through(
  timestamp: TimestampExtractor | undefined,
  given: readonly number[],
): Promise<{ readonly out: readonly number[]; readonly dropped: number }> {
  const value = topology('t', ({ stream }) => {
    stream('in', { ...SERDES, ...(timestamp === undefined ? {} : { timestamp }) }).to('out')
  })
  await using driver = await topologyTestDriver(value, { wallClockMs: 5000 })
  const input = driver.input('in', SERDES)
  for (const timestampMs of given) await input.pipe('a', 'x', { timestampMs })
  const records = await driver.output('out', SERDES).readAll()
  const dropped = driver.counters().find(({ name }) => name === 'dropped-records')?.value ?? 0
  return { out: records.map(({ timestampMs }) => timestampMs), dropped }
}

describe('the timestamp of a record', () => {
  test.each([
    ['nothing is said', undefined],
    ['failOnInvalidTimestamp is', timestamps.failOnInvalidTimestamp],
  ])('is its own where %s, and a negative one cannot be read', async (_, extractor) => {
    expect(await through(extractor, [7, 3])).toEqual({ out: [7, 3], dropped: 0 })
    await expect(through(extractor, [7, -1])).rejects.toThrow(/its timestamp is -1/)
  })

  test('leaves the record out where it is negative and the author said so', async () => {
    const skipping = timestamps.logAndSkipOnInvalidTimestamp
    expect(await through(skipping, [7, -1, 3])).toEqual({ out: [7, 3], dropped: 1 })
  })

  test('is the largest of the partition where it is negative and the author said so', async () => {
    const filling = timestamps.usePartitionTimeOnInvalidTimestamp
    expect(await through(filling, [7, 3, -1])).toEqual({ out: [7, 3, 7], dropped: 0 })
    await expect(through(filling, [-1])).rejects.toThrow(/no record of its partition/)
  })

  test('is the wall clock’s where the author said so', async () => {
    expect(await through(timestamps.wallclockTimestamp, [7, -1])).toEqual({
      out: [5000, 5000],
      dropped: 0,
    })
  })

  test('is the author’s own answer, and no number at all is a record that cannot be read', async () => {
    expect(await through(({ offset }) => offset * 10, [7, 7])).toEqual({ out: [0, 10], dropped: 0 })
    await expect(through(() => NaN, [7])).rejects.toThrow(/its timestamp is NaN/)
  })
})
