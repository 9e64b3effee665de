import { createHook } from 'node:async_hooks'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../runtime/system-clock.ts'
import { HEARTBEAT } from '../../../transport/kafka/api/heartbeat.ts'
import {
  BrokerConnection,
  type ConnectionSetting,
} from '../../../transport/kafka/cluster/broker-connection.ts'
import { KAFKA_LIMITS } from '../../../transport/kafka/limits.ts'
import { answer, bodyOf, FakeBroker, type Asked } from './fake-broker.ts'

const clock = systemClock()
const BEAT = { groupId: 'g', generation: 1, memberId: 'm', groupInstanceId: null }

function setting(limits: Partial<typeof KAFKA_LIMITS> = {}): ConnectionSetting {
  const plain = { tls: undefined, sasl: undefined }
  return { clientId: 'test', ...plain, clock, limits: { ...KAFKA_LIMITS, ...limits } }
}

const beat = (throttleTimeMs: number, errorCode = 0): Buffer =>
  bodyOf((to) => to.int32(throttleTimeMs).int16(errorCode).tags())

describe('a connection', () => {
  test('matches answers by correlation id, in pieces and out of order', async () => {
    const asked: Asked[] = []
    await using broker = await FakeBroker.start((request) => {
      asked.push(request)
      if (asked.length < 2) return
      const [one, two] = asked
      if (one === undefined || two === undefined) return
      answer(two, beat(2))
      const bytes = Buffer.concat([Buffer.alloc(8), Buffer.of(0), beat(1)])
      bytes.writeInt32BE(bytes.length - 4, 0)
      bytes.writeInt32BE(one.correlationId, 4)
      for (const byte of bytes) one.socket.write(Buffer.of(byte))
    })
    const connection = await BrokerConnection.open(broker.address, setting())
    const both = await Promise.all([
      connection.request(HEARTBEAT, BEAT),
      connection.request(HEARTBEAT, BEAT),
    ])
    expect(both.map(({ throttleTimeMs }) => throttleTimeMs)).toEqual([1, 2])
    connection.destroy(new Error('done'))
  })

  test('reads a large answer into the buffer that is given for it', async () => {
    const body = Buffer.concat([beat(3), Buffer.alloc(300_000, 5)])
    await using broker = await FakeBroker.start((request) => answer(request, body))
    const connection = await BrokerConnection.open(broker.address, setting())
    const pooled = Buffer.alloc(400_000)
    for (let round = 0; round < 3; round += 1) {
      const response = await connection.request(HEARTBEAT, BEAT, { buffer: () => pooled.fill(0) })
      expect(response.throttleTimeMs).toBe(3)
      expect(pooled.subarray(1, body.length + 1).equals(body)).toBe(true)
    }
    connection.destroy(new Error('done'))
  })

  test('that gets no answer in time ends, with all that waits on it', async () => {
    await using broker = await FakeBroker.start()
    const connection = await BrokerConnection.open(broker.address, setting())
    const slow = connection.request(HEARTBEAT, BEAT, { deadlineMs: 60_000 })
    const quick = connection.request(HEARTBEAT, BEAT, { deadlineMs: 20 })
    const timedOut = { code: 'MILLRACE_KAFKA_TIMED_OUT', kind: 'retriable' }
    await expect(quick).rejects.toMatchObject(timedOut)
    await expect(slow).rejects.toMatchObject(timedOut)
    expect(connection.isOpen).toBe(false)
    await expect(connection.request(HEARTBEAT, BEAT)).rejects.toMatchObject(timedOut)
    expect(await connection.ended).toMatchObject(timedOut)
  })

  test('that is cut rejects what waits on it, and what comes after', async () => {
    await using broker = await FakeBroker.start(() => broker.cut())
    const connection = await BrokerConnection.open(broker.address, setting())
    const unreachable = { code: 'MILLRACE_KAFKA_UNREACHABLE', kind: 'retriable' }
    await expect(connection.request(HEARTBEAT, BEAT)).rejects.toMatchObject(unreachable)
    await expect(connection.request(HEARTBEAT, BEAT)).rejects.toMatchObject(unreachable)
  })

  test('goes on where a caller gives up waiting', async () => {
    const late: Asked[] = []
    await using broker = await FakeBroker.start((request) => {
      late.push(request)
      if (late.length === 2) for (const [at, one] of late.entries()) answer(one, beat(at))
    })
    const connection = await BrokerConnection.open(broker.address, setting())
    const giveUp = new AbortController()
    const first = connection.request(HEARTBEAT, BEAT, { signal: giveUp.signal })
    giveUp.abort(new Error('no more patience'))
    await expect(first).rejects.toThrow('no more patience')
    expect(await connection.request(HEARTBEAT, BEAT)).toMatchObject({ throttleTimeMs: 1 })
    await expect(connection.request(HEARTBEAT, BEAT, { signal: giveUp.signal })).rejects.toThrow(
      'no more patience',
    )
    connection.destroy(new Error('done'))
  })

  test.each([
    ['an answer that ends early', (request: Asked) => answer(request, Buffer.of(0, 0))],
    ['an answer to nothing', (request: Asked) => answer({ ...request, correlationId: 9 }, beat(0))],
    [
      'an answer of a gigabyte',
      ({ socket }: Asked) => socket.write(Buffer.from('4000000000000001', 'hex')),
    ],
    [
      'an answer of negative length',
      ({ socket }: Asked) => socket.write(Buffer.from('8000000000000001', 'hex')),
    ],
  ])('%s ends it', async (_, reply) => {
    await using broker = await FakeBroker.start((request) => {
      reply(request)
    })
    const connection = await BrokerConnection.open(broker.address, setting())
    await expect(connection.request(HEARTBEAT, BEAT)).rejects.toMatchObject({
      code: 'MILLRACE_KAFKA_BAD_RESPONSE',
    })
    expect(connection.isOpen).toBe(false)
  })

  test('refuses a version that the broker does not speak, and goes on', async () => {
    await using broker = await FakeBroker.start((request) => answer(request, beat(0)))
    const connection = await BrokerConnection.open(broker.address, setting())
    await expect(connection.request(HEARTBEAT, BEAT, { version: 100 })).rejects.toMatchObject({
      code: 'MILLRACE_KAFKA_UNSUPPORTED_VERSION',
    })
    expect(await connection.request(HEARTBEAT, BEAT)).toMatchObject({ errorCode: 0 })
    connection.destroy(new Error('done'))
  })
})

describe('opening', () => {
  test('where nothing listens is told at once', async () => {
    const broker = await FakeBroker.raw(() => {})
    await broker[Symbol.asyncDispose]()
    await expect(BrokerConnection.open(broker.address, setting())).rejects.toMatchObject({
      code: 'MILLRACE_KAFKA_UNREACHABLE',
      kind: 'retriable',
      message: expect.stringMatching(/nothing listens there/) as unknown,
    })
  })

  test('where nobody answers ends at its deadline', async () => {
    await using broker = await FakeBroker.raw(() => {})
    const limits = { connectDeadlineMs: 50 }
    await expect(BrokerConnection.open(broker.address, setting(limits))).rejects.toMatchObject({
      code: 'MILLRACE_KAFKA_UNREACHABLE',
      message: expect.stringMatching(/50 ms/) as unknown,
    })
  })

  test('ends when its signal does', async () => {
    await using broker = await FakeBroker.raw(() => {})
    const stop = new AbortController()
    const opening = BrokerConnection.open(broker.address, setting(), stop.signal)
    stop.abort(new Error('stopped'))
    await expect(opening).rejects.toThrow('stopped')
  })

  test('that is called off before it is open leaves no timer behind that keeps the process', async () => {
    await using broker = await FakeBroker.raw(() => {})
    using timers = new TimersOfConnections()
    const stop = new AbortController()
    const opening = BrokerConnection.open(broker.address, setting(), stop.signal)
    stop.abort(new Error('stopped'))
    await expect(opening).rejects.toThrow('stopped')
    expect(timers.made).toBeGreaterThan(0)
    for (let turn = 0; turn < 1_000 && timers.left > 0; turn += 1) await clock.yield()
    expect(timers.left).toBe(0)
  })

  test('at something else than Kafka is told so', async () => {
    await using broker = await FakeBroker.raw((socket) => {
      socket.on('data', () => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'))
    })
    await expect(BrokerConnection.open(broker.address, setting())).rejects.toMatchObject({
      code: 'MILLRACE_KAFKA_BAD_RESPONSE',
    })
  })

  test('without TLS at a port of TLS is told so', async () => {
    await using broker = await FakeBroker.raw((socket) => {
      socket.once('data', () => socket.end(Buffer.from('15030300020250', 'hex')))
    })
    await expect(BrokerConnection.open(broker.address, setting())).rejects.toMatchObject({
      code: 'MILLRACE_KAFKA_TLS',
      message: expect.stringMatching(/wants TLS/) as unknown,
    })
  })

  test('leaves no warning of negative timers behind', async () => {
    const warnings: Error[] = []
    const listen = (warning: Error): void => void warnings.push(warning)
    process.on('warning', listen)
    await using broker = await FakeBroker.start((request) => answer(request, beat(0)))
    const connection = await BrokerConnection.open(broker.address, setting())
    await connection.request(HEARTBEAT, BEAT)
    connection.destroy(new Error('done'))
    process.off('warning', listen)
    expect(warnings).toEqual([])
  })
})

/** The timers that connections set while it is there: the process has others, which come and go as they like. */
class TimersOfConnections implements Disposable {
  made = 0
  readonly #left = new Set<number>()
  readonly #hook = createHook({
    init: (id, type) => {
      const isOurs = type === 'Timeout' && SETS_TIMERS.test(new Error('here').stack ?? '')
      if (!isOurs) return
      this.made += 1
      this.#left.add(id)
    },
    // It is called a turn after the timer was cleared or has fired.
    destroy: (id) => void this.#left.delete(id),
  }).enable()

  get left(): number {
    return this.#left.size
  }

  [Symbol.dispose](): void {
    this.#hook.disable()
  }
}

/** Where a connection sets timers: by the clock, and in what it is built on. */
const SETS_TIMERS = /[/\\](system-clock\.ts|node_modules[/\\]kafkajs)\b/
