import { describe, expect, it } from 'vitest'
import { MillraceError } from '../../../model/errors.ts'
import {
  AnnotatorError,
  classifyAnnotatorFailure,
  serviceError,
} from '../../../video/annotators/failure.ts'

const CLASSES = [
  [1, 'retry', 'MILLRACE_ANNOTATOR_UNAVAILABLE'],
  [2, 'retry', 'MILLRACE_ANNOTATOR_UNAVAILABLE'],
  [3, 'reject', 'MILLRACE_ANNOTATOR_REJECTED'],
  [4, 'retry', 'MILLRACE_ANNOTATOR_TOO_LATE'],
  [5, 'stop', 'MILLRACE_ANNOTATOR_MISCONFIGURED'],
  [7, 'stop', 'MILLRACE_ANNOTATOR_DENIED'],
  [8, 'retry', 'MILLRACE_ANNOTATOR_OVER_QUOTA'],
  [9, 'stop', 'MILLRACE_ANNOTATOR_MISCONFIGURED'],
  [10, 'retry', 'MILLRACE_ANNOTATOR_UNAVAILABLE'],
  [12, 'stop', 'MILLRACE_ANNOTATOR_MISCONFIGURED'],
  [13, 'retry', 'MILLRACE_ANNOTATOR_UNAVAILABLE'],
  [14, 'retry', 'MILLRACE_ANNOTATOR_UNAVAILABLE'],
  [16, 'stop', 'MILLRACE_ANNOTATOR_DENIED'],
  [99, 'retry', 'MILLRACE_ANNOTATOR_UNAVAILABLE'],
] as const

describe('what a failure of a service means', () => {
  it.each(CLASSES)('status %i is %s, %s', (status, failure, code) => {
    const error = serviceError({ status, message: 'so it said', annotator: 'google', videoId: 'v' })
    expect(error).toMatchObject({ failure, code, status })
    expect(error.message).toContain('so it said. ')
    expect(classifyAnnotatorFailure(error)).toBe(failure)
  })

  it('a message that is too large for the server is no quota: trying again would never end', () => {
    const message = '8 RESOURCE_EXHAUSTED: Received message larger than max (5242885 vs 4194304)'
    const error = serviceError({ status: 8, message, annotator: 'google', videoId: 'v' })
    expect(error).toMatchObject({ failure: 'stop', code: 'MILLRACE_ANNOTATOR_MISCONFIGURED' })
  })

  it('an error of another part means what its remedy says, and one of nobody may pass', () => {
    const classOf = (remedy: 'retry' | 'skip' | 'rewind' | 'stop') =>
      classifyAnnotatorFailure(new MillraceError('MILLRACE_X', 'x', { remedy }))
    expect([classOf('retry'), classOf('rewind'), classOf('skip'), classOf('stop')]).toEqual([
      'retry',
      'retry',
      'reject',
      'stop',
    ])
    expect(classifyAnnotatorFailure(new Error('x'))).toBe('retry')
  })

  it('carries the remedy that the runtime reads', () => {
    expect(new AnnotatorError('rejected', 'x').remedy).toBe('skip')
    expect(new AnnotatorError('denied', 'x').remedy).toBe('stop')
    expect(new AnnotatorError('overQuota', 'x').remedy).toBe('retry')
  })
})
