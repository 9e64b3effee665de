/**
 * An annotator behind Google's own protocol, so that the real Google client can be run against it: a
 * gRPC server on this machine, with the local annotator behind it unless another is given. It
 * listens on 127.0.0.1, without TLS and without credentials: whoever reaches the port may use it.
 *
 * The sockets are accepted here and handed to the gRPC library, which knows no way to break one
 * connection (a rehearsed death) and does not say which port is taken.
 */
import { once } from 'node:events'
import { createServer, type Server as SocketServer, type Socket } from 'node:net'
import { Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js'
import { sleep, type Clock } from '../../model/clock.ts'
import { MillraceError } from '../../model/errors.ts'
import { AnnotatorCall } from './annotator-call.ts'
import type { Annotator } from './annotator.ts'
import { STATUS } from './failure.ts'
import { googleCodec } from './google.ts'
import {
  STREAMING_PATH,
  type StreamingAnswer,
  type StreamingCodec,
  type StreamingRequest,
} from './google-messages.ts'
import { local } from './local.ts'
import { RehearsalPlan, type Rehearsal } from './rehearsal.ts'

/** How an annotator is served. */
export interface ServeOptions {
  readonly clock: Clock
  /** What watches the videos. Default: `local()`. */
  readonly annotator?: Annotator
  /** The address to listen on. Default 127.0.0.1. */
  readonly host?: string
  /** The port to listen on. Default 0: any free one. */
  readonly port?: number
  readonly rehearsal?: Rehearsal
}

/** Serves an annotator. Rejects with MILLRACE_PORT_IN_USE. */
export async function serveAnnotator(options: ServeOptions): Promise<AnnotatorServer> {
  const server = new AnnotatorServer(options, await googleCodec())
  await server.listen(options.host ?? '127.0.0.1', options.port ?? 0)
  return server
}

/** Far above what any client should send: Google recommends less than 10 MB. */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024
/** How long `close` waits for streams that are open. */
const CLOSE_GRACE_MS = 5_000
/** And then for their last words to leave. */
const GOODBYE_MS = 500

/** A server that is up. */
export class AnnotatorServer implements AsyncDisposable {
  readonly #options: ServeOptions
  readonly #local = local()
  readonly #grpc = new Server({
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
  })
  readonly #listener: SocketServer
  readonly #injector
  readonly #rehearsal: RehearsalPlan
  readonly #sockets = new Map<string, Socket>()
  readonly #calls = new Set<AnnotatorCall>()
  #streams = 0
  #closed: Promise<void> | undefined

  constructor(options: ServeOptions, codec: StreamingCodec) {
    this.#options = options
    this.#rehearsal = new RehearsalPlan(options.rehearsal ?? {})
    this.#grpc.addService(
      { streamingAnnotateVideo: serviceMethod(codec) },
      { streamingAnnotateVideo: (call: Duplex) => this.#serve(call, options) },
    )
    this.#injector = this.#grpc.createConnectionInjector(ServerCredentials.createInsecure())
    this.#listener = createServer({ noDelay: true }, (socket) => this.#accept(socket))
  }

  /** Where clients reach it: `host:port`. */
  get endpoint(): string {
    const address = this.#listener.address()
    if (address === null || typeof address === 'string') throw new TypeError('the server is not up')
    const host = address.family === 'IPv6' ? `[${address.address}]` : address.address
    return `${host}:${address.port}`
  }

  /** Streams that are open now. */
  get openStreams(): number {
    return this.#calls.size
  }

  /** Starts to listen. Rejects with MILLRACE_PORT_IN_USE. */
  async listen(host: string, port: number): Promise<void> {
    try {
      await new Promise<void>((resolve, reject) => {
        this.#listener.once('error', reject)
        this.#listener.listen(port, host, () => resolve())
      })
    } catch (cause) {
      this.#grpc.forceShutdown()
      throw notListening(cause, host, port)
    }
  }

  /** Takes no more streams, lets those that are open end within `graceMs`, breaks the rest off. Resolves when nothing works for any of them. */
  close(graceMs = CLOSE_GRACE_MS): Promise<void> {
    this.#closed ??= this.#close(graceMs)
    return this.#closed
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close(0)
  }

  async #close(graceMs: number): Promise<void> {
    const listenerClosed = new Promise<void>((resolve) => this.#listener.close(() => resolve()))
    const gone = Promise.all([...this.#calls].map((call) => call.gone))
    if (graceMs > 0) {
      const timer = new AbortController()
      const late = sleep(this.#options.clock, graceMs, timer.signal).catch(() => {})
      await Promise.race([gone, late])
      timer.abort(new Error('closed in time'))
    }
    for (const call of this.#calls) call.fail(STATUS.unavailable, 'the annotator is stopping')
    await gone
    await this.#sayGoodbye()
    this.#grpc.forceShutdown()
    for (const socket of this.#sockets.values()) socket.destroy()
    await listenerClosed
  }

  /** Lets the last statuses leave; a client that does not read them is not waited for. */
  async #sayGoodbye(): Promise<void> {
    const timer = new AbortController()
    const late = sleep(this.#options.clock, GOODBYE_MS, timer.signal).catch(() => {})
    // The library's own word that all is over comes before the last frames have left.
    this.#grpc.tryShutdown(() => {})
    const closed = [...this.#sockets.values()].map((socket) => once(socket, 'close'))
    await Promise.race([Promise.allSettled(closed), late])
    timer.abort(new Error('all is said'))
  }

  #accept(socket: Socket): void {
    const peer = `${socket.remoteAddress}:${socket.remotePort}`
    this.#sockets.set(peer, socket)
    socket.on('error', () => socket.destroy())
    socket.once('close', () => this.#sockets.delete(peer))
    this.#injector.injectConnection(socket)
  }

  #serve(call: Duplex, { annotator, clock }: ServeOptions): void {
    this.#streams += 1
    const served = new AnnotatorCall({
      call,
      streamName: `stream-${this.#streams}`,
      annotator: annotator ?? this.#local,
      rehearsal: this.#rehearsal,
      clock,
      killConnection: () => this.#sockets.get(call.getPeer())?.destroy(),
    })
    if (this.#closed !== undefined) served.fail(STATUS.unavailable, 'the annotator is stopping')
    else if (!this.#rehearsal.admits(this.#calls.size)) {
      served.fail(
        STATUS.resourceExhausted,
        `${this.#calls.size} streams are open, no more are allowed`,
      )
    }
    this.#calls.add(served)
    void served.gone.then(() => this.#calls.delete(served))
  }
}

type Duplex = ServerDuplexStream<StreamingRequest, StreamingAnswer>

function serviceMethod({ decodeRequest, encodeResponse }: StreamingCodec) {
  const onlyServed = (): never => {
    throw new TypeError('this side of the protocol is the server')
  }
  return {
    path: STREAMING_PATH,
    requestStream: true,
    responseStream: true,
    requestSerialize: onlyServed,
    requestDeserialize: decodeRequest,
    responseSerialize: encodeResponse,
    responseDeserialize: onlyServed,
  }
}

function notListening(cause: unknown, host: string, port: number): unknown {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code !== 'EADDRINUSE') return cause
  return new MillraceError(
    'MILLRACE_PORT_IN_USE',
    `Port ${port} of ${host} is in use by another program: stop that one, choose another port, or give 0 for any free one.`,
    { place: `${host}:${port}`, cause },
  )
}
