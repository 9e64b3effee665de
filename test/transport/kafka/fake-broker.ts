/** A broker by script: what it says is written by the test, byte for byte. It listens on loopback. */
import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import { WireReader } from '../../../transport/kafka/wire/reader.ts'
import { WireWriter } from '../../../transport/kafka/wire/writer.ts'
import type { Address } from '../../../transport/kafka/kafka-errors.ts'

/** A request as it arrived. */
export interface Asked {
  readonly key: number
  readonly version: number
  readonly correlationId: number
  /** The whole request after its length. */
  readonly bytes: Buffer
  readonly socket: Socket
}

const API_VERSIONS = 18

export class FakeBroker implements AsyncDisposable {
  readonly address: Address
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(server: Server, port: number) {
    this.#server = server
    this.address = { host: '127.0.0.1', port }
  }

  /** Answers ApiVersions by itself, with everything in versions 0 to 99; all else is told to `asked`. */
  static async start(asked: (request: Asked) => void = () => {}): Promise<FakeBroker> {
    return await FakeBroker.raw((socket) => {
      let left = Buffer.alloc(0)
      socket.on('data', (bytes) => {
        left = Buffer.concat([left, bytes])
        while (left.length >= 4 && left.length >= 4 + left.readInt32BE(0)) {
          const end = 4 + left.readInt32BE(0)
          const request = requestIn(left.subarray(4, end), socket)
          left = left.subarray(end)
          if (request.key === API_VERSIONS) answer(request, apiVersions(), { plain: true })
          else asked(request)
        }
      })
    })
  }

  /** Does whatever `onSocket` does with a connection. */
  static async raw(onSocket: (socket: Socket) => void): Promise<FakeBroker> {
    const server = createServer()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    const broker = new FakeBroker(server, address.port)
    server.on('connection', (socket) => {
      broker.#sockets.add(socket)
      socket.on('error', () => socket.destroy())
      socket.on('close', () => broker.#sockets.delete(socket))
      onSocket(socket)
    })
    return broker
  }

  get connections(): number {
    return this.#sockets.size
  }

  /** Cuts all connections; new ones are taken. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    this.#server.close()
    await once(this.#server, 'close')
  }
}

/** Sends the body of an answer; `plain` for a header without tagged fields. */
export function answer(
  { socket, correlationId }: Asked,
  body: Buffer,
  { plain = false }: { readonly plain?: boolean } = {},
): void {
  const head = Buffer.alloc(8)
  const all = Buffer.concat([head, plain ? Buffer.alloc(0) : Buffer.of(0), body])
  all.writeInt32BE(all.length - 4, 0)
  all.writeInt32BE(correlationId, 4)
  socket.write(all)
}

/** What `write` writes, as one buffer. */
export function bodyOf(write: (to: WireWriter) => unknown, flexible = true): Buffer {
  const to = new WireWriter(flexible)
  write(to)
  return Buffer.concat(to.parts())
}

function requestIn(bytes: Buffer, socket: Socket): Asked {
  const from = new WireReader(bytes, false)
  const head = { key: from.int16(), version: from.int16(), correlationId: from.int32() }
  return { ...head, bytes, socket }
}

function apiVersions(): Buffer {
  const keys = Array.from({ length: 70 }, (_, key) => key)
  return bodyOf((to) => {
    to.int16(0)
    to.array(keys, (key) => to.int16(key).int16(0).int16(99).tags())
    to.int32(0).tags()
  })
}
