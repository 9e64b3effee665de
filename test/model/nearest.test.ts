import { describe, expect, test } from 'vitest'
import { isOneEditAway, nearest } from '../../model/nearest.ts'

describe('the nearest word', () => {
  const words = ['ingest', 'describe', 'tail', 'run']

  test.each([
    ['ingset', 'ingest'],
    ['discribe', 'describe'],
    ['tial', 'tail'],
    ['runn', 'run'],
  ])('%s is meant as %s', (typed, word) => expect(nearest(typed, words)).toBe(word))

  test.each(['', 'xyz', 'deploy', 'walk'])('%j is none of them', (typed) =>
    expect(nearest(typed, words)).toBeUndefined(),
  )
})

describe('words one edit apart', () => {
  test.each([
    ['sasl.jass.config', 'sasl.jaas.config'],
    ['clientid', 'client.id'],
    ['lingerr.ms', 'linger.ms'],
    ['acsk', 'acks'],
  ])('%s and %s are', (one, other) => expect(isOneEditAway(one, other)).toBe(true))

  test.each([
    ['acks', 'acks'],
    ['fetch.min.bytes', 'fetch.max.bytes'],
    ['', 'ab'],
  ])('%j and %j are not', (one, other) => expect(isOneEditAway(one, other)).toBe(false))
})
