import { describe, expect, test } from 'vitest'
import { asPartition, asTopic } from '../../../model/position.ts'
import { systemClock } from '../../../runtime/system-clock.ts'
import { TransportError } from '../../../transport/errors.ts'
import type { FindCoordinatorResponse } from '../../../transport/kafka/api/find-coordinator.ts'
import type { MetadataResponse, TopicMetadata } from '../../../transport/kafka/api/metadata.ts'
import { CoordinatorCache } from '../../../transport/kafka/cluster/coordinator-cache.ts'
import { CODE } from '../../../transport/kafka/error-codes.ts'
import { KAFKA_LIMITS } from '../../../transport/kafka/limits.ts'
import {
  MetadataCache,
  type AskAnyBroker,
} from '../../../transport/kafka/cluster/metadata-cache.ts'

const clock = systemClock()
const limits = { ...KAFKA_LIMITS, retryMinMs: 1, retryMaxMs: 2, unknownTopicPatienceMs: 20 }
const topic = asTopic('t')
const at = { topic, partition: asPartition(0) }

/** Asks a list of answers, one after the other; the last one again and again. */
function script<T>(answers: readonly T[]): { readonly ask: AskAnyBroker; asked: number } {
  const it = {
    asked: 0,
    ask: (async () => {
      const answer = answers[Math.min(it.asked, answers.length - 1)]
      it.asked += 1
      await clock.yield()
      return answer
    }) as unknown as AskAnyBroker,
  }
  return it
}

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

function cacheOf(...told: readonly Told[]): {
  readonly cache: MetadataCache
  readonly asked: () => number
} {
  const asking = script(told.map(metadata))
  return { cache: new MetadataCache(asking.ask, { clock, limits }), asked: () => asking.asked }
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
    const { cache } = cacheOf({ leader: -1 }, { leader: -1 }, { leader: 1 })
    expect((await cache.leader(at)).node).toBe(1)
  })

  test('without a leader at the deadline is a retriable error', async () => {
    const { cache } = cacheOf({ leader: -1 })
    await expect(cache.leader(at, { deadlineMs: 20 })).rejects.toMatchObject({
      code: 'MILLRACE_KAFKA_REFUSED',
      kind: 'retriable',
    })
  })

  test('of a topic that is only just known comes after some patience, of none a clear error', async () => {
    const unknown = { errorCode: CODE.unknownTopicOrPartition }
    expect((await cacheOf(unknown, unknown, {}).cache.leader(at)).node).toBe(1)
    await expect(cacheOf(unknown).cache.leader(at)).rejects.toMatchObject({
      code: 'MILLRACE_UNKNOWN_PARTITION',
      kind: 'fatal',
    })
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
})

describe('a coordinator', () => {
  const group = { kind: 'group', key: 'g' } as const
  const found = (nodeId: number, errorCode = 0): FindCoordinatorResponse => {
    return { throttleTimeMs: 0, errorCode, errorMessage: null, nodeId, host: 'h', port: 1 }
  }
  const away = found(-1, CODE.coordinatorNotAvailable)

  test('is asked for until there is one, once for all who want it, and again when it has moved', async () => {
    const asking = script([away, found(1), found(2)])
    const cache = new CoordinatorCache(asking.ask, { clock, limits })
    expect(await Promise.all([cache.find(group), cache.find(group)])).toEqual([1, 1])
    expect(await cache.find(group)).toBe(1)
    expect(asking.asked).toBe(2)
    cache.forget(group)
    expect(await cache.find(group)).toBe(2)
  })

  test('that is not there at the deadline is a retriable error, and asked for anew later', async () => {
    const asking = script([away])
    const cache = new CoordinatorCache(asking.ask, { clock, limits })
    const failed = cache.find(group, { deadlineMs: 10 })
    await expect(failed).rejects.toBeInstanceOf(TransportError)
    await expect(failed).rejects.toMatchObject({ kind: 'retriable' })
    const before = asking.asked
    const later = cache.find(group, { deadlineMs: 100 })
    await expect(later).rejects.toMatchObject({ kind: 'retriable' })
    expect(asking.asked).toBeGreaterThan(before)
  })

  test('goes on being looked for where one gives up', async () => {
    const asking = script([away, found(1)])
    const cache = new CoordinatorCache(asking.ask, { clock, limits })
    const giveUp = new AbortController()
    const [one, two] = [cache.find(group, { signal: giveUp.signal }), cache.find(group)]
    giveUp.abort(new Error('enough'))
    await expect(one).rejects.toThrow('enough')
    expect(await two).toBe(1)
  })
})
