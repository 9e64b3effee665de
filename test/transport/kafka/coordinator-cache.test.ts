import { expect, test } from 'vitest'
import { SimulatedClock } from '../../../testing/simulated-clock.ts'
import { TransportError } from '../../../transport/errors.ts'
import { CoordinatorCache } from '../../../transport/kafka/cluster/coordinator-cache.ts'
import { CODE } from '../../../transport/kafka/error-codes.ts'
import { KAFKA_LIMITS } from '../../../transport/kafka/limits.ts'
import type { AskAnyBroker } from '../../../transport/kafka/cluster/metadata-cache.ts'

const GROUP = { kind: 'group', key: 'g' } as const

/** A cache whose brokers give these answers, the last one again and again. */
function cacheOf(...answers: readonly (Promise<object> | object)[]) {
  const clock = new SimulatedClock(1)
  const asked: unknown[] = []
  const ask = (question: unknown): Promise<object> => {
    asked.push(question)
    return Promise.resolve(answers[asked.length - 1] ?? answers.at(-1) ?? {})
  }
  const cache = new CoordinatorCache(ask as AskAnyBroker, { clock, limits: KAFKA_LIMITS })
  return { clock, cache, asked }
}

const AWAY = { errorCode: CODE.coordinatorNotAvailable, nodeId: -1 }
const named = (nodeId: number) => ({ errorCode: CODE.none, nodeId })

test('a coordinator is asked for once, and again when it has moved', async () => {
  const { cache, asked } = cacheOf(named(1), named(2))
  expect(await Promise.all([cache.find(GROUP), cache.find(GROUP)])).toEqual([1, 1])
  cache.forget(GROUP)
  expect(await cache.find(GROUP)).toBe(2)
  expect(asked).toHaveLength(2)
})

test('who gives up waiting for a coordinator ends the wait of nobody else', async () => {
  const answer = Promise.withResolvers<object>()
  const { cache } = cacheOf(answer.promise)
  const leaving = new AbortController()
  const first = cache.find(GROUP, { signal: leaving.signal })
  const second = cache.find(GROUP)
  leaving.abort(new Error('it leaves'))
  await expect(first).rejects.toThrow('it leaves')
  answer.resolve(named(3))
  expect(await second).toBe(3)
})

test('each waits for a coordinator as long as its own deadline', async () => {
  const { clock, cache } = cacheOf(new Promise(() => {}))
  const outcome: unknown[] = []
  void cache.find(GROUP).catch(() => outcome.push('the patient one'))
  void cache.find(GROUP, { deadlineMs: 500 }).catch((error: unknown) => outcome.push(error))
  await clock.runUntil(() => outcome.length === 1, KAFKA_LIMITS.callDeadlineMs)
  expect(clock.monotonic()).toBe(500)
  expect(outcome).toMatchObject([{ code: 'MILLRACE_KAFKA_REFUSED', kind: 'retriable' }])
  await clock.runUntil(() => outcome.length === 2, KAFKA_LIMITS.callDeadlineMs)
})

test('a failed search is not remembered', async () => {
  const { cache, asked } = cacheOf({ errorCode: CODE.groupAuthorizationFailed }, named(1))
  const code = 'MILLRACE_KAFKA_NOT_AUTHORIZED'
  await expect(cache.find(GROUP)).rejects.toMatchObject({ code })
  expect(await cache.find(GROUP)).toBe(1)
  expect(asked).toHaveLength(2)
})

test('a coordinator that is not there yet is asked for until there is one, or the deadline', async () => {
  const { clock, cache, asked } = cacheOf(AWAY, AWAY, named(1), AWAY)
  const found = cache.find(GROUP)
  await clock.runUntil(() => asked.length === 3, KAFKA_LIMITS.callDeadlineMs)
  expect(await found).toBe(1)
  cache.forget(GROUP)
  const outcome: unknown[] = []
  void cache.find(GROUP, { deadlineMs: 500 }).catch((error: unknown) => outcome.push(error))
  await clock.runUntil(() => outcome.length === 1, KAFKA_LIMITS.callDeadlineMs)
  expect(outcome[0]).toBeInstanceOf(TransportError)
  expect(outcome).toMatchObject([{ code: 'MILLRACE_KAFKA_REFUSED', kind: 'retriable' }])
  expect(asked.length).toBeGreaterThan(4)
})
