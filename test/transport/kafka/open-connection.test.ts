import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../runtime/system-clock.ts'
import { openConnection } from '../../../transport/kafka/cluster/open-connection.ts'
import { KAFKA_LIMITS } from '../../../transport/kafka/limits.ts'
import { FakeBroker } from './fake-broker.ts'

const HANDSHAKE = 0x16
const { signal } = new AbortController()
const setting = {
  clientId: 'test',
  tls: { verify: false },
  sasl: { mechanism: 'PLAIN', username: 'somebody', password: 'no-secret-may-leave' },
  clock: systemClock(),
  limits: KAFKA_LIMITS,
} as const

describe('TLS at a port that closes the connection', () => {
  test('and speaks Kafka in plain words is told, and no password is', async () => {
    const heard: Buffer[] = []
    await using broker = await FakeBroker.start()
    await using port = await FakeBroker.raw((socket) => {
      socket.once('data', (bytes) => {
        if (bytes[0] === HANDSHAKE) return void socket.end()
        heard.push(bytes)
        const beyond = connect(broker.address.port, broker.address.host)
        beyond.on('error', () => socket.destroy())
        socket.on('data', (more) => void heard.push(more))
        beyond.write(bytes)
        socket.pipe(beyond).pipe(socket)
      })
    })
    await expect(openConnection(port.address, setting, signal)).rejects.toMatchObject({
      code: 'MILLRACE_KAFKA_TLS',
      kind: 'fatal',
      message: expect.stringMatching(/speaks no TLS on this port/) as unknown,
    })
    const words = Buffer.concat(heard).toString('latin1')
    expect(words).toContain('millrace')
    expect(words).not.toContain('no-secret-may-leave')
  })

  test.each([
    ['whatever is asked', (bytes: Buffer) => bytes.length > 0],
    ['and says nothing in plain words', (bytes: Buffer) => bytes[0] === HANDSHAKE],
  ])('%s may be a broker that is being stopped', async (_, closes) => {
    await using port = await FakeBroker.raw((socket) => {
      socket.once('data', (bytes) => {
        if (closes(bytes)) socket.resetAndDestroy()
      })
    })
    const limits = { ...KAFKA_LIMITS, connectDeadlineMs: 500 }
    await expect(
      openConnection(port.address, { ...setting, limits }, signal),
    ).rejects.toMatchObject({
      code: 'MILLRACE_KAFKA_UNREACHABLE',
      kind: 'retriable',
      message: expect.stringMatching(/before TLS was agreed on/) as unknown,
    })
  })
})
