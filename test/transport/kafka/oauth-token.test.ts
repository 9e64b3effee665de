import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { describe, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../../runtime/system-clock.ts'
import { TransportError } from '../../../transport/errors.ts'
import { describeAddress } from '../../../transport/kafka/kafka-errors.ts'
import { openKafka } from '../../../transport/kafka/open.ts'
import { clientCredentials } from '../../../transport/kafka/options/oauth-token.ts'
import { answer, bodyOf, FakeBroker } from './fake-broker.ts'

const clock = systemClock()
const SECRET = 'no-message-may-show-this'
const SASL_HANDSHAKE = 17
const GOOD = JSON.stringify({ access_token: 'token', expires_in: 60 })

/** A token endpoint; how it is asked for tokens. */
async function endpoint(listener: RequestListener) {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const url = `http://127.0.0.1:${address.port}/token`
  return { url, credentials: { url, clientId: 'me', clientSecret: SECRET, clock } }
}

/** A broker that has OAUTHBEARER, and waits for a token. */
async function brokerWithSasl(): Promise<FakeBroker> {
  const broker = await FakeBroker.start((request) => {
    if (request.key !== SASL_HANDSHAKE) return
    const body = bodyOf((to) => {
      to.int16(0)
      to.array(['OAUTHBEARER'], (name) => to.string(name))
    }, false)
    answer(request, body, { plain: true })
  })
  onTestFinished(() => broker[Symbol.asyncDispose]())
  return broker
}

async function errorOf(work: Promise<unknown>): Promise<TransportError> {
  const error = await work.then(
    () => 'it succeeded',
    (problem: unknown) => problem,
  )
  if (error instanceof TransportError) return error
  throw new TypeError(`no error of the log port: ${String(error)}`)
}

describe('a token', () => {
  test('is asked for once while it is good, also by many at the same time', async () => {
    const asked: string[] = []
    const { credentials } = await endpoint((request, response) => {
      asked.push(request.headers.authorization ?? '')
      response.end(GOOD)
    })
    const token = clientCredentials(credentials)
    expect(await Promise.all([token(), token()])).toEqual(['token', 'token'])
    expect(await token()).toBe('token')
    expect(asked).toEqual([`Basic ${Buffer.from(`me:${SECRET}`).toString('base64')}`])
  })

  test.each([
    [400, 'fatal'],
    [401, 'fatal'],
    [403, 'fatal'],
    [404, 'retriable'],
    [429, 'retriable'],
    [500, 'retriable'],
    [503, 'retriable'],
  ] as const)(
    'for which the endpoint answers %i is a %s error with its address',
    async (status, kind) => {
      const { url, credentials } = await endpoint((_, response) => {
        response.statusCode = status
        response.end(JSON.stringify({ error: 'invalid_client' }))
      })
      const error = await errorOf(clientCredentials(credentials)())
      expect(error).toMatchObject({ code: 'MILLRACE_KAFKA_AUTHENTICATION', kind, place: url })
      expect(error.message).toContain(`${status} (invalid_client)`)
      expect(error.message).toContain(url)
      expect(error.message).not.toContain(SECRET)
    },
  )

  test.each<[string, RequestListener, RegExp]>([
    ['an endpoint that says nothing', () => {}, /no answer within/],
    ['an endpoint that cuts the connection', ({ socket }) => socket.destroy(), /No token/],
    ['an answer that is no JSON', (_, response) => response.end('<html>'), /No token/],
    ['an answer without a token', (_, response) => response.end('{}'), /no access_token/],
  ])('%s is a retriable error with its address', async (_, listener, says) => {
    const { url, credentials } = await endpoint(listener)
    const quick = { ...clock, timer: (ms: number, run: () => void) => clock.timer(ms / 50, run) }
    const error = await errorOf(clientCredentials({ ...credentials, clock: quick })())
    expect(error).toMatchObject({ code: 'MILLRACE_KAFKA_AUTHENTICATION', kind: 'retriable' })
    expect(error.message).toMatch(says)
    expect(error.message).toContain(url)
  })

  test('is asked for anew after a failure', async () => {
    let count = 0
    const { credentials } = await endpoint((_, response) => {
      count += 1
      response.statusCode = count === 1 ? 503 : 200
      response.end(GOOD)
    })
    const token = clientCredentials(credentials)
    expect(await errorOf(token())).toMatchObject({ kind: 'retriable' })
    expect(await token()).toBe('token')
  })
})

describe('opening a log whose brokers want a token', () => {
  test('that the endpoint denies fails at once, and names the endpoint, not the broker', async () => {
    const { url, credentials } = await endpoint((_, response) => {
      response.statusCode = 401
      response.end()
    })
    const broker = await brokerWithSasl()
    const brokers = describeAddress(broker.address)
    const sasl = { mechanism: 'OAUTHBEARER', token: clientCredentials(credentials) } as const
    const begunMs = clock.monotonic()
    const error = await errorOf(openKafka({ brokers, sasl, clock }))
    expect(clock.monotonic() - begunMs).toBeLessThan(5_000)
    expect(error).toMatchObject({ code: 'MILLRACE_KAFKA_AUTHENTICATION', kind: 'fatal' })
    expect(error.message).toContain(url)
    expect(error.message).not.toContain(brokers)
  })

  test('that the endpoint has trouble to give is tried again until the deadline, and names the endpoint', async () => {
    let count = 0
    const { url, credentials } = await endpoint((_, response) => {
      count += 1
      response.statusCode = 503
      response.end()
    })
    const all = [await brokerWithSasl(), await brokerWithSasl()]
    const brokers = all.map(({ address }) => describeAddress(address))
    const sasl = { mechanism: 'OAUTHBEARER', token: clientCredentials(credentials) } as const
    const limits = { openDeadlineMs: 500 }
    const error = await errorOf(openKafka({ brokers, sasl, clock, limits }))
    expect(error).toMatchObject({ code: 'MILLRACE_KAFKA_AUTHENTICATION', kind: 'retriable' })
    expect(error.message).toContain(url)
    for (const name of brokers) expect(error.message).not.toContain(name)
    expect(count).toBeGreaterThan(1)
  })

  test('where the token function fails in its own way say so', async () => {
    const broker = await brokerWithSasl()
    const brokers = describeAddress(broker.address)
    const token = (): Promise<string> => Promise.reject(new Error('the vault is sealed'))
    const sasl = { mechanism: 'OAUTHBEARER', token } as const
    const error = await errorOf(
      openKafka({ brokers, sasl, clock, limits: { openDeadlineMs: 300 } }),
    )
    expect(error).toMatchObject({ code: 'MILLRACE_KAFKA_AUTHENTICATION', kind: 'retriable' })
    expect(error.message).toContain('token function')
    expect(error.message).toContain('the vault is sealed')
    expect(error.message).not.toContain('cannot be reached')
  })
})
