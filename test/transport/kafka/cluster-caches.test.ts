import { describe, expect, test } from 'vitest'
import { asPartition, asTopic } from '../../../model/position.ts'
import { SimulatedClock } from '../../../testing/simulated-clock.ts'
import type { MetadataResponse, TopicMetadata } from '../../../transport/kafka/api/metadata.ts'
import { CODE } from '../../../transport/kafka/error-codes.ts'
import { KAFKA_LIMITS } from '../../../transport/kafka/limits.ts'
import {
  MetadataCache,
  type AskAnyBroker,
  type CallOptions,
} from '../../../transport/kafka/cluster/metadata-cache.ts'

const topic = asTopic('t')
const at = { topic, partition: asPartition(0) }

interface Told {
  readonly leader?: number
  readonly leaderEpoch?: number
  readonly topicId?: string
  readonly errorCode?: number
}

function metadata(told: Told): MetadataResponse {
  const { leader = 1, leaderEpoch = 5, topicId = 'id', errorCode = 0 } = told
  const partition = { errorCode: 0, partition: 0, leader, leaderEpoch, replicas: [], inSync: [] }
  const partitions = errorCode === CODE.unknownTopicOrPartition ? [] : [partition]
  const one: TopicMetadata = { errorCode, topic, topicId, isInternal: false, partitions }
  const brokers = [{ nodeId: 1, host: 'h', port: 1, rack: null }]
  return { throttleTimeMs: 0, brokers, clusterId: 'c', controller: 1, topics: [one] }
}

/** A cache whose brokers give these answers, one after the other; the last one again and again. */
function cacheOf(...told: readonly Told[]) {
  const clock = new SimulatedClock(1)
  let count = 0
  const ask = (): Promise<MetadataResponse> => {
    const answer = told[Math.min(count, told.length - 1)]
    count += 1
    return Promise.resolve(metadata(answer ?? {}))
  }
  return {
    clock,
    cache: new MetadataCache(ask as unknown as AskAnyBroker, { clock, limits: KAFKA_LIMITS }),
    asked: () => count,
    /** What becomes of a promise, in virtual time. */
    settled: async <T>(promise: Promise<T>): Promise<T> => {
      let isSettled = false
      const settle = (): void => void (isSettled = true)
      promise.then(settle, settle)
      await clock.runUntil(() => isSettled, KAFKA_LIMITS.callDeadlineMs)
      return await promise
    },
  }
}

describe('metadata', () => {
  test('is asked for once, however many want it at the same time, and again when it was wrong', async () => {
    const { cache, asked } = cacheOf({ leader: 1 }, { leader: 2, leaderEpoch: 6 })
    expect(cache.known(at)).toBeUndefined()
    const leaders = await Promise.all(Array.from({ length: 5 }, () => cache.leader(at)))
    expect(leaders).toEqual(leaders.map(() => ({ node: 1, leaderEpoch: 5, topicId: 'id' })))
    expect(asked()).toBe(1)
    cache.invalidate(at, 4)
    expect(cache.known(at)?.node).toBe(1)
    cache.invalidate(at, 5)
    expect(cache.known(at)).toBeUndefined()
    expect((await cache.leader(at)).node).toBe(2)
    expect(asked()).toBe(2)
  })

  test('of an older leader epoch does not replace what is newer, unless the topic is another', async () => {
    const { cache } = cacheOf(
      { leader: 2, leaderEpoch: 6 },
      { leader: 1, leaderEpoch: 5 },
      { leader: 3, leaderEpoch: 0, topicId: 'again' },
    )
    await cache.leader(at)
    await cache.refresh([topic])
    expect(cache.known(at)).toEqual({ node: 2, leaderEpoch: 6, topicId: 'id' })
    await cache.refresh([topic])
    expect(cache.known(at)).toEqual({ node: 3, leaderEpoch: 0, topicId: 'again' })
  })

  test('without a leader is waited for', async () => {
    const { cache, asked, settled } = cacheOf({ leader: -1 }, { leader: -1 }, { leader: 1 })
    expect((await settled(cache.leader(at))).node).toBe(1)
    expect(asked()).toBe(3)
  })

  test('without a leader at the deadline is a retriable error', async () => {
    const { clock, cache, settled } = cacheOf({ leader: -1 })
    await expect(settled(cache.leader(at, { deadlineMs: 500 }))).rejects.toMatchObject({
      code: 'MILLRACE_KAFKA_REFUSED',
      kind: 'retriable',
    })
    expect(clock.monotonic()).toBeLessThanOrEqual(500)
  })

  test('of a topic that is only just known comes after some patience, of none a clear error', async () => {
    const unknown = { errorCode: CODE.unknownTopicOrPartition }
    const late = cacheOf(unknown, unknown, {})
    expect((await late.settled(late.cache.leader(at))).node).toBe(1)
    const { clock, cache, settled } = cacheOf(unknown)
    await expect(settled(cache.leader(at))).rejects.toMatchObject({
      code: 'MILLRACE_UNKNOWN_PARTITION',
      kind: 'fatal',
    })
    expect(clock.monotonic()).toBeGreaterThanOrEqual(KAFKA_LIMITS.unknownTopicPatienceMs)
  })

  test('without the right to see it is told at once', async () => {
    const { cache, asked } = cacheOf({ errorCode: CODE.topicAuthorizationFailed })
    await expect(cache.leader(at)).rejects.toMatchObject({ code: 'MILLRACE_KAFKA_NOT_AUTHORIZED' })
    expect(asked()).toBe(1)
  })

  test('goes on for others where one gives up', async () => {
    const { cache, asked } = cacheOf({})
    const giveUp = new AbortController()
    const [one, two] = [cache.leader(at, { signal: giveUp.signal }), cache.leader(at)]
    giveUp.abort(new Error('enough'))
    await expect(one).rejects.toThrow('enough')
    expect((await two).node).toBe(1)
    expect(asked()).toBe(1)
  })

  test('ends each wait at its own deadline, and the question with the last of them', async () => {
    const clock = new SimulatedClock(1)
    const ends: AbortSignal[] = []
    const ask = (_: unknown, { signal }: CallOptions): Promise<never> => {
      if (signal !== undefined) ends.push(signal)
      return new Promise(() => {})
    }
    const cache = new MetadataCache(ask, { clock, limits: KAFKA_LIMITS })
    const late: [number, unknown][] = []
    for (const deadlineMs of [900, 300]) {
      const note = (error: unknown): void => void late.push([clock.monotonic(), error])
      cache.refresh([], { deadlineMs }).catch(note)
    }
    const timedOut = { code: 'MILLRACE_KAFKA_TIMED_OUT', kind: 'retriable' }
    await clock.runUntil(() => late.length === 1, KAFKA_LIMITS.callDeadlineMs)
    expect(late).toMatchObject([[300, timedOut]])
    expect(ends.map(({ aborted }) => aborted)).toEqual([false])
    await clock.runUntil(() => late.length === 2, KAFKA_LIMITS.callDeadlineMs)
    expect(late).toMatchObject([
      [300, timedOut],
      [900, timedOut],
    ])
    expect(ends.map(({ aborted }) => aborted)).toEqual([true])
  })
})
