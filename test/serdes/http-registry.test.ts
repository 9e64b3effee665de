import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { HttpRegistry, HttpRegistryOptions } from '../../serdes/http-registry-contract.ts'
import { httpRegistry } from '../../serdes/http-registry.ts'
import { avro } from '../../serdes/avro.ts'
import { HurriedClock } from './hurried-clock.ts'
import { RegistryServer } from './registry-server.ts'

const INT = '"int"'
const POINT = JSON.stringify({
  type: 'record',
  name: 'geo.Point',
  fields: [{ name: 'x', type: 'int' }],
})

let server: RegistryServer
let clock: HurriedClock

beforeEach(async () => {
  server = await RegistryServer.open()
  clock = new HurriedClock(8_000)
})

afterEach(async () => {
  expect(clock.deadlines, 'deadlines that were left behind').toBe(0)
  await server[Symbol.asyncDispose]()
})

type Changes = Omit<HttpRegistryOptions, 'url' | 'urls' | 'clock'>

function client(changes: Changes = {}): HttpRegistry {
  return httpRegistry({ url: server.url, clock, ...changes })
}

const paths = (): readonly string[] => server.seen.map(({ method, path }) => `${method} ${path}`)
const repeated = <T>(count: number, item: T): readonly T[] =>
  Array.from({ length: count }, () => item)

describe('asks no more than it has to', () => {
  test('a schema is fetched once, for ever', async () => {
    const id = server.put('a-value', { schema: INT, schemaType: 'AVRO', references: [] })
    const registry = client()
    expect(await registry.schemaById(id)).toBe(INT)
    clock.pass(1e12)
    expect(await registry.schemaById(id)).toBe(INT)
    expect(paths()).toEqual(['GET /schemas/ids/1'])
  })

  test('a schema is registered once under each subject', async () => {
    const registry = client()
    await registry.register('a-value', INT)
    await registry.register('a-value', ' "int" ')
    await registry.register('b-value', INT)
    expect(paths()).toEqual(['POST /subjects/a-value/versions', 'POST /subjects/b-value/versions'])
  })

  test('those who ask for the same at once share one request', async () => {
    const id = server.put('a-value', { schema: INT, schemaType: 'AVRO', references: [] })
    const registry = client()
    const schemas = await Promise.all(Array.from({ length: 50 }, () => registry.schemaById(id)))
    const ids = await Promise.all(Array.from({ length: 50 }, () => registry.register('b', POINT)))
    expect(new Set(schemas)).toEqual(new Set([INT]))
    expect(new Set(ids).size).toBe(1)
    expect(server.seen).toHaveLength(2)
  })

  test('an id that is not there is asked for again only when its time has passed', async () => {
    const registry = client({ limits: { missingSchemaMs: 1_000 } })
    const missing = { code: 'MILLRACE_UNKNOWN_SCHEMA', schemaId: 1 }
    await expect(registry.schemaById(1)).rejects.toMatchObject(missing)
    server.put('a-value', { schema: INT, schemaType: 'AVRO', references: [] })
    clock.pass(999)
    await expect(registry.schemaById(1)).rejects.toMatchObject(missing)
    expect(server.seen).toHaveLength(1)
    clock.pass(1)
    expect(await registry.schemaById(1)).toBe(INT)
  })

  test('no more ids are remembered than its limit says', async () => {
    for (const size of [1, 2, 3]) {
      server.put('a', { schema: `{"size":${size}}`, schemaType: 'AVRO', references: [] })
    }
    const registry = client({ limits: { cachedSchemas: 2, missingSchemas: 1 } })
    for (const id of [1, 2, 3, 3, 2]) await registry.schemaById(id)
    expect(server.seen).toHaveLength(3)
    await registry.schemaById(1)
    expect(server.seen).toHaveLength(4)
    for (const id of [8, 9, 9, 8]) await registry.schemaById(id).catch(() => {})
    expect(server.seen).toHaveLength(7)
  })
})

describe('when the registry fails', () => {
  test.each([
    ['500', { kind: 'status', status: 500 }],
    ['503 with a page', { kind: 'status', status: 503, body: '<html>' }],
    ['429', { kind: 'status', status: 429 }],
    ['408', { kind: 'status', status: 408 }],
    ['a connection that breaks', { kind: 'reset' }],
    ['half of an answer', { kind: 'torn' }],
  ] as const)('%s is tried again', async (_name, fault) => {
    server.faults.push(fault, fault)
    expect(await client().register('a-value', INT)).toBe(1)
    expect(server.seen).toHaveLength(3)
    expect(clock.waitsMs).toEqual([100, 200])
  })

  test('waits grow up to their limit, each a random part of it', async () => {
    server.faults.push(...repeated(7, { kind: 'reset' } as const))
    clock.luck = 0.5
    await client({ limits: { rounds: 8, largestBackoffMs: 1_000 } }).register('a', INT)
    expect(clock.waitsMs).toEqual([50, 100, 200, 400, 500, 500, 500])
  })

  test('it gives up after its rounds, with an error that the runtime tries again', async () => {
    server.faults.push(...repeated(3, { kind: 'status', status: 502 } as const))
    await expect(client({ limits: { rounds: 3 } }).schemaById(7)).rejects.toMatchObject({
      code: 'MILLRACE_REGISTRY_UNREACHABLE',
      remedy: 'retry',
      schemaId: 7,
      place: server.url,
      message: expect.stringMatching(/schema 7.*tried 3 times: http:.*it answered 502/) as unknown,
    })
    expect(server.seen).toHaveLength(3)
  })

  test('a failure is not remembered', async () => {
    const id = server.put('a-value', { schema: INT, schemaType: 'AVRO', references: [] })
    server.faults.push({ kind: 'reset' })
    const registry = client({ limits: { rounds: 1 } })
    await expect(registry.schemaById(id)).rejects.toMatchObject({
      code: 'MILLRACE_REGISTRY_UNREACHABLE',
    })
    expect(await registry.schemaById(id)).toBe(INT)
  })

  test('Retry-After is obeyed, in seconds and as a date', async () => {
    const date = new Date(clock.now() + 5_000).toUTCString()
    server.faults.push({ kind: 'status', status: 429, headers: { 'retry-after': '2' } })
    server.faults.push({ kind: 'status', status: 503, headers: { 'retry-after': date } })
    await client().register('a-value', INT)
    expect(clock.waitsMs).toEqual([2_000, 3_000])
  })

  test('a Retry-After beyond its limit is said, not slept', async () => {
    server.faults.push({ kind: 'status', status: 429, headers: { 'retry-after': '31' } })
    await expect(client().register('a-value', INT)).rejects.toMatchObject({
      code: 'MILLRACE_REGISTRY_UNREACHABLE',
      message: expect.stringContaining('31 s') as unknown,
    })
    expect(clock.waitsMs).toEqual([])
  })

  test('a request without an answer ends at its deadline and is tried again', async () => {
    server.faults.push({ kind: 'silence' })
    const id = client().register('a-value', INT)
    await server.reached(1)
    clock.passDeadlines()
    expect(await id).toBe(1)
  })

  test('all tries together end at a deadline', async () => {
    server.faults.push(...repeated(9, { kind: 'silence' } as const))
    const error = client({ limits: { callDeadlineMs: 25_000, rounds: 100 } })
      .schemaById(1)
      .catch((reason: unknown) => reason)
    for (const requests of [1, 2, 3]) {
      await server.reached(requests)
      clock.passDeadlines()
    }
    expect(await error).toMatchObject({
      code: 'MILLRACE_REGISTRY_UNREACHABLE',
      message: expect.stringContaining('no answer within') as unknown,
    })
    expect(server.seen).toHaveLength(3)
  })

  test('nobody listening is unreachable, and named', async () => {
    const gone = await RegistryServer.open()
    const { url } = gone
    await gone[Symbol.asyncDispose]()
    await expect(httpRegistry({ url, clock }).register('a', INT)).rejects.toMatchObject({
      code: 'MILLRACE_REGISTRY_UNREACHABLE',
      message: expect.stringMatching(`subject "a".*${url}: .*ECONNREFUSED`) as unknown,
    })
  })
})

describe('with several addresses', () => {
  let second: RegistryServer

  beforeEach(async () => {
    second = await RegistryServer.open()
  })

  afterEach(async () => {
    await second[Symbol.asyncDispose]()
  })

  const both = (): HttpRegistry => httpRegistry({ urls: [server.url, second.url], clock })

  test('the next is tried without a wait, and stays the first to ask', async () => {
    server.faults.push({ kind: 'reset' })
    const registry = both()
    await registry.register('a-value', INT)
    await registry.register('b-value', INT)
    expect(clock.waitsMs).toEqual([])
    expect([server.seen.length, second.seen.length]).toEqual([1, 2])
  })

  test('there is a wait after all of them failed', async () => {
    server.faults.push({ kind: 'reset' })
    second.faults.push({ kind: 'status', status: 503 })
    await both().register('a-value', INT)
    expect(clock.waitsMs).toEqual([100])
    expect([server.seen.length, second.seen.length]).toEqual([2, 1])
  })

  test('a schema that one does not have yet is asked of the others', async () => {
    const id = second.put('a-value', { schema: INT, schemaType: 'AVRO', references: [] })
    expect(await both().schemaById(id)).toBe(INT)
  })

  test('a schema is unknown when one has it not and the other stays down', async () => {
    const registry = both()
    second.faults.push(...repeated(9, { kind: 'reset' } as const))
    await expect(registry.schemaById(4)).rejects.toMatchObject({ code: 'MILLRACE_UNKNOWN_SCHEMA' })
    // It was given the time to come back.
    expect(clock.waitsMs).toHaveLength(5)
  })
})

describe('answers that are none', () => {
  test.each([
    ['a page', { kind: 'status', status: 200, body: '<html>welcome</html>' }],
    ['other JSON', { kind: 'status', status: 200, body: '{"id":"1"}' }],
    ['an id of five bytes', { kind: 'status', status: 200, body: '{"id":4294967296}' }],
    ['a server that knows no such path', { kind: 'status', status: 404, body: 'not found' }],
    ['JSON of another server', { kind: 'status', status: 404, body: '{"error":"not found"}' }],
  ] as const)('%s is said with the likely reason, and not tried again', async (_name, fault) => {
    server.faults.push(fault)
    await expect(client().register('a-value', INT)).rejects.toMatchObject({
      code: 'MILLRACE_REGISTRY_BAD_ANSWER',
      remedy: 'stop',
      message: expect.stringContaining('/apis/ccompat/v7') as unknown,
    })
    expect(server.seen).toHaveLength(1)
  })

  test('an endless answer is left at its limit', async () => {
    server.faults.push({ kind: 'flood', bytes: 1e12 })
    await expect(client({ limits: { answerBytes: 100_000 } }).schemaById(1)).rejects.toMatchObject({
      code: 'MILLRACE_REGISTRY_BAD_ANSWER',
      message: expect.stringContaining('more than 100000 bytes (answerBytes)') as unknown,
    })
  })

  test('a redirection is not followed', async () => {
    const headers = { location: 'http://127.0.0.1:1/elsewhere' }
    server.faults.push({ kind: 'status', status: 308, headers })
    await expect(client().register('a', INT)).rejects.toMatchObject({
      code: 'MILLRACE_REGISTRY_REFUSED',
    })
  })
})

describe('rules of the registry', () => {
  test('an incompatible schema is refused with what the registry says, and not tried again', async () => {
    const registry = client()
    await registry.register('a-value', POINT)
    await expect(registry.register('a-value', '"string"')).rejects.toMatchObject({
      code: 'MILLRACE_REGISTRY_INCOMPATIBLE',
      remedy: 'stop',
      message: expect.stringMatching(
        /subject "a-value".*409.*geo\.Point cannot be read/,
      ) as unknown,
    })
    expect(server.seen).toHaveLength(2)
  })

  test('what is JSON but no Avro is a bad schema', async () => {
    await expect(client().register('a-value', '{"type":"nonsense"}')).rejects.toMatchObject({
      code: 'MILLRACE_BAD_SCHEMA',
      message: expect.stringContaining('42201') as unknown,
    })
  })

  test('compatibility is asked for, set and checked', async () => {
    const registry = client()
    expect(await registry.compatibility()).toBe('BACKWARD')
    expect(await registry.compatibility('a-value')).toBe('BACKWARD')
    expect(await registry.checkCompatibility('a-value', INT)).toEqual({
      isCompatible: true,
      messages: [],
    })
    await registry.register('a-value', INT)
    expect(await registry.checkCompatibility('a-value', '"string"')).toMatchObject({
      isCompatible: false,
      messages: [expect.stringContaining('cannot be read') as unknown],
    })
    await registry.setCompatibility('a-value', 'NONE')
    expect(await registry.compatibility('a-value')).toBe('NONE')
    await registry.register('a-value', '"string"')
    await registry.setCompatibility(undefined, 'FULL')
    expect(await registry.compatibility()).toBe('FULL')
  })

  test('versions and look-ups know what is registered', async () => {
    const registry = client()
    expect(await registry.versions('a-value')).toEqual([])
    expect(await registry.lookUp('a-value', INT)).toBeUndefined()
    const id = await registry.register('a-value', INT)
    expect(await registry.versions('a-value')).toEqual([1])
    expect(await registry.lookUp('a-value', '"long"')).toBeUndefined()
    const found = { subject: 'a-value', version: 1, id, schema: INT, references: [] }
    expect(await registry.lookUp('a-value', INT)).toEqual(found)
    expect(await registry.version('a-value', 'latest')).toEqual(found)
    await expect(registry.version('a-value', 2)).rejects.toMatchObject({
      code: 'MILLRACE_UNKNOWN_SCHEMA',
      message: expect.stringContaining('no version 2 of subject "a-value"') as unknown,
    })
  })

  test('without autoRegister a schema is looked up and never written', async () => {
    const registry = client({ autoRegister: false })
    await expect(registry.register('a-value', INT)).rejects.toMatchObject({
      code: 'MILLRACE_UNKNOWN_SCHEMA',
      message: expect.stringContaining('autoRegister') as unknown,
    })
    const id = server.put('a-value', { schema: INT, schemaType: 'AVRO', references: [] })
    expect(await registry.register('a-value', INT)).toBe(id)
    expect(paths()).toEqual(repeated(2, 'POST /subjects/a-value'))
  })

  test('normalize is passed on', async () => {
    await client({ normalize: true }).register('a-value', INT)
    expect(paths()).toEqual(['POST /subjects/a-value/versions?normalize=true'])
  })

  test.each(['', '.', '..'])('%j cannot be a subject', async (subject) => {
    await expect(client().register(subject, INT)).rejects.toMatchObject({
      code: 'MILLRACE_REGISTRY_MISCONFIGURED',
    })
    expect(server.seen).toEqual([])
  })
})

describe('credentials', () => {
  const user = { kind: 'basic', user: 'ümit', password: 's3cret:word' } as const
  const header = `Basic ${Buffer.from('ümit:s3cret:word').toString('base64')}`

  test('basic auth is sent in UTF-8, from the option or from the address', async () => {
    server.authorization = header
    await client({ auth: user }).register('a', INT)
    const url = server.url.replace('//', '//%C3%BCmit:s3cret%3Aword@')
    await httpRegistry({ url, clock }).register('b', INT)
    expect(server.seen.map(({ authorization }) => authorization)).toEqual([header, header])
  })

  test('a bearer token is made anew for each request', async () => {
    let made = 0
    const token = (): Promise<string> => Promise.resolve(`token-${++made}`)
    const registry = client({ auth: { kind: 'bearer', token } })
    await registry.register('a', INT)
    await registry.register('b', INT)
    expect(server.seen.map(({ authorization }) => authorization)).toEqual([
      'Bearer token-1',
      'Bearer token-2',
    ])
  })

  test.each([401, 403])('%i is unauthorized, and not tried again', async (status) => {
    server.faults.push({ kind: 'status', status })
    await expect(client().register('a', INT)).rejects.toMatchObject({
      code: 'MILLRACE_REGISTRY_UNAUTHORIZED',
      remedy: 'stop',
    })
    expect(server.seen).toHaveLength(1)
  })

  test('a token that cannot be had is tried again by the runtime', async () => {
    const token = (): never => {
      throw new Error('the issuer is down')
    }
    await expect(
      client({ auth: { kind: 'bearer', token } }).register('a', INT),
    ).rejects.toMatchObject({ code: 'MILLRACE_REGISTRY_UNAUTHORIZED', remedy: 'retry' })
  })

  test('they are in no error and in no inspection', async () => {
    server.authorization = 'another'
    const secrets = /s3cret|czNjcmV0|c2VjcmV0|tok-en-1|YW|dW1pdA|w6xt/
    const errors: unknown[] = []
    const tried = async (run: () => HttpRegistry): Promise<void> => {
      try {
        const registry = run()
        expect(inspect(registry, { depth: 9, showHidden: true })).not.toMatch(secrets)
        // The server echoes what it was sent.
        await registry.register('a', INT)
      } catch (error) {
        errors.push(error)
      }
    }
    await tried(() => client({ auth: user }))
    await tried(() => client({ auth: { kind: 'bearer', token: 'tok-en-1' } }))
    await tried(() => client({ auth: { kind: 'bearer', token: 'tok-en-1\n' } }))
    await tried(() => client({ auth: { ...user, user: 'a:b' } }))
    await tried(() => httpRegistry({ url: 'htp://x:s3cret@registry', clock }))
    await tried(() => httpRegistry({ url: 'http://x:s3cret@regis try', clock }))
    await tried(() => httpRegistry({ url: 'http://x:s3cret@registry/?a=s3cret', clock }))
    await tried(() => httpRegistry({ url: 'http://x:s3cret@127.0.0.1:1', clock }))
    expect(errors).toHaveLength(8)
    for (const error of errors) {
      expect(error).toMatchObject({ name: 'SerdeError' })
      expect(inspect(error, { depth: 9, showHidden: true })).not.toMatch(secrets)
    }
  })
})

describe('a signal', () => {
  test('ends one call and leaves those who share its request alone', async () => {
    const id = server.put('a-value', { schema: INT, schemaType: 'AVRO', references: [] })
    const gate = Promise.withResolvers<void>()
    server.faults.push({ kind: 'held', until: gate.promise })
    const registry = client()
    const stop = new AbortController()
    const one = registry.schemaById(id, { signal: stop.signal })
    const two = registry.schemaById(id)
    await server.reached(1)
    stop.abort(new Error('enough'))
    await expect(one).rejects.toThrow('enough')
    gate.resolve()
    expect(await two).toBe(INT)
    expect(server.seen).toHaveLength(1)
  })

  test('ends the request when nobody waits for it any more, and the next one asks anew', async () => {
    const id = server.put('a-value', { schema: INT, schemaType: 'AVRO', references: [] })
    server.faults.push({ kind: 'silence' })
    const registry = client()
    const stop = new AbortController()
    const call = registry.schemaById(id, { signal: stop.signal })
    await server.reached(1)
    stop.abort(new Error('enough'))
    await expect(call).rejects.toThrow('enough')
    expect(await registry.schemaById(id)).toBe(INT)
  })

  test('ends everything of a client', async () => {
    server.faults.push({ kind: 'silence' }, { kind: 'silence' })
    const stop = new AbortController()
    const registry = client({ signal: stop.signal })
    const calls = [registry.schemaById(1), registry.versions('a')]
    const ended = Promise.allSettled(calls)
    await server.reached(2)
    stop.abort(new Error('the app stops'))
    expect((await ended).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    await expect(registry.schemaById(1)).rejects.toThrow('the app stops')
  })
})

describe('schemas that refer to others', () => {
  const reference = (name: string, subject: string) => ({ name, subject, version: 1 })
  const avroType = 'AVRO'

  test('are handed out whole, and can be read by', async () => {
    const registry = client()
    await registry.register('point', POINT)
    const line = JSON.stringify({
      type: 'record',
      name: 'Line',
      namespace: 'geo',
      fields: ['from', 'to'].map((name) => ({ name, type: 'Point' })),
    })
    server.put('line', {
      schema: line,
      schemaType: avroType,
      references: [reference('geo.Point', 'point')],
    })
    const shape = JSON.stringify({ type: 'array', items: ['null', 'geo.Line', 'geo.Point'] })
    const id = server.put('shape', {
      schema: shape,
      schemaType: avroType,
      references: [reference('geo.Line', 'line')],
    })
    const whole = JSON.parse(await registry.schemaById(id)) as never
    expect(whole).toEqual({
      type: 'array',
      items: [
        'null',
        {
          type: 'record',
          name: 'geo.Line',
          fields: [
            { name: 'from', type: JSON.parse(POINT) as unknown },
            { name: 'to', type: 'geo.Point' },
          ],
        },
        'geo.Point',
      ],
    })
    const lines = avro(((whole as { items: unknown[] }).items[1] ?? 'null') as never)
    expect(lines.name).toBe('avro(geo.Line)')
    await registry.schemaById(id)
    expect(server.seen).toHaveLength(4)
  })

  test('are registered with what they refer to', async () => {
    const registry = client()
    await registry.register('point', POINT)
    server.faults.push({ kind: 'status', status: 200, body: '{"id":9}' })
    const references = [reference('geo.Point', 'point')]
    expect(await registry.register('points', '"geo.Point"', { references })).toBe(9)
  })

  test('name the schema and the part that is missing', async () => {
    const references = [reference('geo.Point', 'point')]
    const id = server.put('points', { schema: '"geo.Point"', schemaType: avroType, references })
    await expect(client().schemaById(id)).rejects.toMatchObject({
      code: 'MILLRACE_UNKNOWN_SCHEMA',
      message: expect.stringMatching(/version 1 of subject "point"/) as unknown,
    })
  })

  test('end at their limit, also when they refer to each other for ever', async () => {
    const loop = [reference('A', 'a'), reference('B', 'b')]
    server.put('a', {
      schema: '{"type":"fixed","name":"A","size":1}',
      schemaType: avroType,
      references: loop,
    })
    server.put('b', {
      schema: '{"type":"fixed","name":"B","size":1}',
      schemaType: avroType,
      references: loop,
    })
    expect(await client().schemaById(1)).toContain('"A"')
    await expect(client({ limits: { references: 1 } }).schemaById(1)).rejects.toMatchObject({
      code: 'MILLRACE_BAD_SCHEMA',
      schemaId: 1,
    })
  })

  test('that are of another language are refused by their id', async () => {
    server.put('p', { schema: 'syntax = "proto3";', schemaType: 'PROTOBUF', references: [] })
    await expect(client().schemaById(1)).rejects.toMatchObject({
      code: 'MILLRACE_BAD_SCHEMA',
      schemaId: 1,
      message: expect.stringContaining('PROTOBUF') as unknown,
    })
  })
})
