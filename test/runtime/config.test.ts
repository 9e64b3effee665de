import { describe, expect, test } from 'vitest'
import { limitsOf } from '../../runtime/config.ts'

describe('the limits of an app', () => {
  test('are refused where the log would abort each transaction before its commit is due', () => {
    const limits = { commitIntervalMs: 2_001, transactionTimeoutMs: 2_000 }
    expect(() => limitsOf('exactly-once', limits)).toThrow(
      expect.objectContaining({
        code: 'MILLRACE_LIMITS_CONFLICT',
        message: expect.stringMatching(
          /commitIntervalMs is 2001.*transactionTimeoutMs 2000.*raise/,
        ),
      }),
    )
    expect(() => limitsOf('exactly-once', { commitIntervalMs: 60_001 })).toThrow(/60001.*60000/)
    expect(limitsOf('exactly-once', { ...limits, commitIntervalMs: 2_000 })).toMatchObject({
      commitIntervalMs: 2_000,
    })
  })

  test('may commit seldom at least once, where there are no transactions', () => {
    const limits = { commitIntervalMs: 90_000 }
    expect(limitsOf('at-least-once', limits)).toMatchObject(limits)
  })
})
