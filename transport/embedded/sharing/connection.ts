/**
 * A socket that carries frames. What is sent within one turn leaves by one writev, payloads from
 * where they lie. A peer that sends what is no frame is told so and dropped.
 */
import { connect, type Socket } from 'node:net'
import { asError } from '../../../model/errors.ts'
import type { BufferPool } from '../../buffer-pool.ts'
import { frameHead, FrameReader, type Frame, type OutgoingFrame } from './frame.ts'
import { errorWords } from './sharing-errors.ts'

/** What a connection needs, and whom it tells. */
export interface ConnectionOptions {
  readonly buffers: BufferPool
  /** Bytes of a payload at most. */
  readonly payloadBytes: number
  readonly onFrame: (frame: Frame) => void
  /** Called once, when nothing more comes or goes. */
  readonly onClose: (error: Error | undefined) => void
  /** The peer has taken more of what was sent. */
  readonly onTaken?: () => void
}

/** One end of a connection. */
export class Connection {
  readonly #options: ConnectionOptions
  readonly #reader: FrameReader
  #socket: Socket | undefined
  #error: Error | undefined
  #isCorked = false
  #isOver = false

  private constructor(options: ConnectionOptions) {
    this.#options = options
    this.#reader = new FrameReader(options, options.onFrame)
  }

  /** Connects to the socket at `path`; a large payload is read into its own buffer. */
  static to(path: string, options: ConnectionOptions): Connection {
    const connection = new Connection(options)
    const reader = connection.#reader
    const socket = connect({
      path,
      onread: {
        buffer: () => reader.into,
        callback: (bytes, into) => {
          connection.#receive(() => reader.filled(into, bytes))
          return true
        },
      },
    })
    connection.#attach(socket)
    return connection
  }

  /** The holder's end of an accepted connection. */
  static of(socket: Socket, options: ConnectionOptions): Connection {
    const connection = new Connection(options)
    connection.#attach(socket)
    socket.on('data', (chunk: Buffer) => connection.#receive(() => connection.#reader.take(chunk)))
    return connection
  }

  /** Bytes that the peer has not taken yet. */
  get unsentBytes(): number {
    return this.#socket?.writableLength ?? 0
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** Sends a frame; its payload must not change before `onSent`, which is called also where it cannot be sent. */
  send(frame: OutgoingFrame, onSent?: () => void): void {
    const socket = this.#socket
    if (this.#isOver || socket === undefined) {
      onSent?.()
      return
    }
    this.#cork(socket)
    const parts = [frameHead(frame), ...(frame.payload ?? [])]
    for (const [index, part] of parts.entries()) {
      if (index < parts.length - 1) socket.write(part)
      else {
        socket.write(part, () => {
          onSent?.()
          this.#options.onTaken?.()
        })
      }
    }
  }

  /** Reads no more until `resume`. */
  pause(): void {
    this.#socket?.pause()
  }

  resume(): void {
    this.#socket?.resume()
  }

  /** Ends the connection once everything was sent, or at once. */
  end({ isUrgent = false }: { readonly isUrgent?: boolean } = {}): void {
    this.#isOver = true
    if (isUrgent) this.#socket?.destroy()
    else this.#socket?.destroySoon()
  }

  #attach(socket: Socket): void {
    this.#socket = socket
    socket.on('error', (error) => (this.#error ??= error))
    socket.on('close', () => {
      this.#isOver = true
      this.#options.onClose(this.#error)
    })
  }

  #cork(socket: Socket): void {
    if (this.#isCorked) return
    this.#isCorked = true
    socket.cork()
    process.nextTick(() => {
      this.#isCorked = false
      socket.uncork()
    })
  }

  #receive(take: () => void): void {
    if (this.#isOver) return
    try {
      take()
    } catch (error) {
      this.#error ??= asError(error)
      this.send({ kind: 'refusal', id: 0, words: errorWords(error) })
      this.end()
    }
  }
}
