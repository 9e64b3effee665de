import { describe, expect, test } from 'vitest'
import { logPlaceOf, stateFolderOf, type LogOptions } from '../../cli/log-place.ts'

const NOTHING: LogOptions = {
  embedded: undefined,
  brokers: undefined,
  'kafka-config': undefined,
  registry: undefined,
  schemas: undefined,
}

function placeOf(options: Partial<LogOptions>, environment: Record<string, string> = {}) {
  return logPlaceOf({ ...NOTHING, ...options }, environment)
}

describe('the log of a command', () => {
  test('is the folder that is named, whatever the environment says', () => {
    const environment = { MILLRACE_BROKERS: 'b:9092', MILLRACE_REGISTRY: 'http://r' }
    expect(placeOf({ embedded: 'data' }, environment)).toEqual({ kind: 'embedded', folder: 'data' })
  })

  test('is the cluster that is named, with what the environment says besides', () => {
    const environment = {
      MILLRACE_BROKERS: 'other:9092',
      MILLRACE_EMBEDDED: 'data',
      MILLRACE_KAFKA_CONFIG: 'client.properties',
      MILLRACE_SCHEMAS: 'schemas.jsonl',
    }
    expect(placeOf({ brokers: 'b:9092' }, environment)).toEqual({
      kind: 'kafka',
      brokers: 'b:9092',
      propertiesFile: 'client.properties',
      environment,
      schemas: { kind: 'file', path: 'schemas.jsonl' },
    })
  })

  test.each([
    [{ MILLRACE_EMBEDDED: 'data' }, 'embedded'],
    [{ MILLRACE_BROKERS: 'b:9092' }, 'kafka'],
    [{ MILLRACE_KAFKA_CONFIG: 'client.properties' }, 'kafka'],
    [{ MILLRACE_KAFKA_BOOTSTRAP_SERVERS: 'b:9092' }, 'kafka'],
    [{ MILLRACE_EMBEDDED: '', MILLRACE_BROKERS: 'b:9092' }, 'kafka'],
  ])('is found in the environment: %o', (environment, kind) => {
    expect(placeOf({}, environment)).toMatchObject({ kind })
  })

  test.each([
    ['nothing', {}, {}, /--embedded DIR .* or --brokers HOST:PORT/],
    [
      'two logs',
      { embedded: 'data', brokers: 'b:9092' },
      {},
      /--embedded and --brokers name two logs/,
    ],
    [
      'two logs, one by its file',
      { embedded: 'data', 'kafka-config': 'c' },
      {},
      /--embedded and --kafka-config name two logs/,
    ],
    [
      'two logs in the environment',
      {},
      { MILLRACE_EMBEDDED: 'data', MILLRACE_BROKERS: 'b:9092' },
      /MILLRACE_EMBEDDED and MILLRACE_BROKERS are both set/,
    ],
    [
      'a registry for an embedded log',
      { embedded: 'data', registry: 'http://r' },
      {},
      /--registry goes with --brokers/,
    ],
    [
      'two places for schemas',
      { brokers: 'b:9092', registry: 'http://r', schemas: 's' },
      {},
      /--registry and --schemas name two places/,
    ],
    [
      'a password that all can see',
      { brokers: 'b:9092', registry: 'http://ann:secret@r' },
      {},
      /MILLRACE_REGISTRY_PASSWORD/,
    ],
  ])('is refused: %s', (_, options, environment, message) => {
    expect(() => placeOf(options, environment)).toThrow(message)
  })

  test('shows no password that was given where all can see it', () => {
    const seen = { brokers: 'b:9092', registry: 'http://ann:secret@r' }
    expect(() => placeOf(seen)).toThrow(/^((?!secret).)*$/)
  })

  test.each([
    [{}, undefined],
    [{ MILLRACE_REGISTRY_TOKEN: 't' }, { kind: 'bearer', token: 't' }],
    [
      { MILLRACE_REGISTRY_USER: 'ann', MILLRACE_REGISTRY_PASSWORD: 'p' },
      { kind: 'basic', user: 'ann', password: 'p' },
    ],
  ])('takes the credentials of its registry from the environment: %o', (environment, auth) => {
    const place = placeOf({ brokers: 'b:9092', registry: 'http://r, http://s' }, environment)
    expect(place).toMatchObject({
      schemas: { kind: 'registry', urls: ['http://r', 'http://s'], auth },
    })
  })

  test('has its state beside it, or where the command runs', () => {
    expect(stateFolderOf(placeOf({ embedded: 'data' }), undefined)).toBe('data/state')
    expect(stateFolderOf(placeOf({ brokers: 'b:9092' }), undefined)).toBe('millrace-state')
    expect(stateFolderOf(placeOf({ brokers: 'b:9092' }), 'mine')).toBe('mine')
  })
})
