/** What a reader makes of an answer without a record: only a leader that may show all it has can say that there is none. */
import { describe, expect, test } from 'vitest'
import { CODE } from '../../../transport/kafka/error-codes.ts'
import { FETCH_LIMITS } from '../../../transport/kafka/reader/fetch-limits.ts'
import type { FoundRecord } from '../../../transport/transport.ts'
import { at, ReaderWorld } from './reader-world.ts'

const { retryMaxMs } = FETCH_LIMITS

/** A partition with two records in batches of their own, and a reader. */
function twoRecords() {
  const world = new ReaderWorld()
  const log = world.log()
  log.write(['a'])
  log.write(['b'])
  return { world, log, reader: world.reader() }
}

function textOf(found: FoundRecord | undefined): string | undefined {
  return found?.record.value?.toString()
}

describe('a single record that a leader does not show', () => {
  test('is waited for where the leader was just elected and its high watermark is behind', async () => {
    const { world, log, reader } = twoRecords()
    await using _ = reader
    log.elect(1)
    log.shownTo = 1
    let found: FoundRecord | undefined | 'nothing yet' = 'nothing yet'
    const reading = reader.readAt(at(1)).then((one) => (found = one))
    await world.clock.advance(3 * retryMaxMs)
    expect(found).toBe('nothing yet')
    log.shownTo = Infinity
    await world.clock.advance(retryMaxMs)
    expect(textOf(await reading)).toBe('b')
  })

  test('is found where it came to be shown between the fetch and the question', async () => {
    const { world, log, reader } = twoRecords()
    await using _ = reader
    log.shownTo = 1
    world.brokers.onQuestion = () => (log.shownTo = Infinity)
    const reading = reader.readAt(at(1))
    await world.clock.advance(retryMaxMs)
    expect(textOf(await reading)).toBe('b')
  })

  test('is none where the log ends before it, at the cost of one question', async () => {
    const { world, reader } = twoRecords()
    await using _ = reader
    const reading = Promise.all([reader.readAt(at(2)), reader.readAt(at(1))])
    await world.settle()
    expect((await reading).map(textOf)).toEqual([undefined, 'b'])
    expect(world.brokers.questions).toEqual(['ListOffsets'])
  })

  test('is asked for again where the leader has it and brought nothing, as late remote storage does', async () => {
    const { world, log, reader } = twoRecords()
    await using _ = reader
    log.late = 2
    const reading = reader.readAt(at(1))
    await world.clock.advance(2 * retryMaxMs)
    expect(textOf(await reading)).toBe('b')
  })

  test('costs no question where there is a record', async () => {
    const { world, reader } = twoRecords()
    await using _ = reader
    const reading = reader.readAt(at(1))
    await world.settle()
    expect(textOf(await reading)).toBe('b')
    expect(world.brokers.questions).toEqual([])
  })

  test('ends with the error of a leader that cannot tell, after the deadline', async () => {
    const world = new ReaderWorld()
    const log = world.log()
    log.write(['a'])
    log.elect(1)
    log.shownTo = 0
    await using reader = world.reader({ limits: { pointReadDeadlineMs: 5_000 } })
    const reading = reader.readAt(at(0)).catch((error: unknown) => error)
    await world.clock.advance(5_000 + 2 * retryMaxMs)
    const message = expect.stringContaining(`(${CODE.offsetNotAvailable})`) as string
    expect(await reading).toMatchObject({ code: 'MILLRACE_KAFKA_REFUSED', message })
  })

  test('is asked for again where a quota puts the client off', async () => {
    const { world, reader } = twoRecords()
    await using _ = reader
    world.brokers.throttled = 2
    const reading = reader.readAt(at(1))
    await world.clock.advance(2 * retryMaxMs)
    expect(textOf(await reading)).toBe('b')
  })
})

describe('a cursor behind a leader that was just elected', () => {
  test('goes on where its offset is shown again', async () => {
    const { world, log, reader } = twoRecords()
    await using _ = reader
    const cursor = reader.open(at(0))
    expect(await world.drain(cursor)).toEqual(['0:a', '1:b'])
    log.elect(2)
    log.shownTo = 1
    log.errors.push(CODE.offsetOutOfRange)
    await world.clock.advance(3 * retryMaxMs)
    expect(await world.drain(cursor)).toEqual([])
    log.write(['c'])
    log.shownTo = Infinity
    await world.clock.advance(retryMaxMs)
    expect(await world.drain(cursor)).toEqual(['2:c'])
  })
})
