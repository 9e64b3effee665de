/**
 * One authenticated connection to one broker: requests go out in the order of the calls, answers are
 * matched by correlation id. kafkajs opens the socket and authenticates; the bytes of everything else
 * are cut and written here.
 *
 * - A request that gets no answer in time ends the connection, with all its other requests: what
 *   stands behind it would not be answered either, and a late answer must not meet a later question.
 * - A SASL session is renewed on a drained connection, since kafkajs takes any answer for its own
 *   meanwhile; requests wait in order until it is done.
 * - Nothing is tried again here.
 */
import type { Socket } from 'node:net'
import type { Clock, Timer } from '../../../model/clock.ts'
import { asError } from '../../../model/errors.ts'
import type { Api } from '../api/api.ts'
import { API_VERSIONS } from '../api/api-versions.ts'
import { BrokerAbilities } from './broker-abilities.ts'
import { connectionProblem } from './connection-problem.ts'
import { CODE } from '../error-codes.ts'
import {
  badResponse,
  noConnection,
  requestTimedOut,
  tlsFailed,
  unsupportedVersion,
  type Address,
} from '../kafka-errors.ts'
import { authenticatedSocket, type AuthenticatedSocket } from './kafkajs-connection.ts'
import type { KafkaLimits } from '../limits.ts'
import { requestParts } from './request-parts.ts'
import { ResponseFrames } from './response-frames.ts'
import type { KafkaSasl, KafkaTls } from '../options/security.ts'
import { WireReader } from '../wire/reader.ts'

/** How connections are made. */
export interface ConnectionSetting {
  readonly clientId: string
  readonly tls: KafkaTls | undefined
  readonly sasl: KafkaSasl | undefined
  readonly limits: KafkaLimits
  readonly clock: Clock
}

/** How one request is made. */
export interface RequestOptions {
  /** The highest that both sides speak where it is left out. */
  readonly version?: number
  /** From now to the answer. Default `limits.requestDeadlineMs`. */
  readonly deadlineMs?: number
  /** Gives up waiting, not the connection; the answer is dropped when it comes. */
  readonly signal?: AbortSignal | undefined
  /** Gives the buffer, at least that large, for the answer's body: large ones may be used again. */
  readonly buffer?: (sizeBytes: number) => Buffer
}

interface Pending {
  readonly api: string
  readonly buffer: ((sizeBytes: number) => Buffer) | undefined
  readonly timer: Timer
  answered(body: Buffer): void
  failed(error: Error): void
}

/** How a request is answered for. */
interface Outcome<R> {
  readonly resolve: (response: R) => void
  readonly reject: (error: Error) => void
}

/** Pieces of SASL are read into this many bytes. */
const SASL_BUFFER_BYTES = 16 * 1024
const SASL_AUTHENTICATE_KEY = 36
const SOFTWARE = { softwareName: 'millrace', softwareVersion: '0.1' }

/** A connection to one broker. */
export class BrokerConnection {
  readonly address: Address
  readonly #setting: ConnectionSetting
  readonly #connection: AuthenticatedSocket
  readonly #frames: ResponseFrames
  readonly #saslBuffer = Buffer.allocUnsafe(SASL_BUFFER_BYTES)
  readonly #pending = new Map<number, Pending>()
  /** Requests that wait for the session to be renewed. */
  readonly #waiting: (() => void)[] = []
  readonly #ended = Promise.withResolvers<Error>()
  #abilities: BrokerAbilities | undefined
  #socket: Socket | undefined
  #endedWith: Error | undefined
  #correlationId = 0
  #isConnected = false
  #isAuthenticating = false
  #onDrained: (() => void) | undefined

  private constructor(address: Address, setting: ConnectionSetting) {
    this.address = address
    this.#setting = setting
    this.#frames = new ResponseFrames({
      bodyBuffer: (correlationId, sizeBytes) => this.#bodyBuffer(correlationId, sizeBytes),
      complete: (correlationId, body) => this.#complete(correlationId, body),
    })
    const { clientId, tls, sasl, limits } = setting
    const { connectDeadlineMs, reauthenticationMarginMs } = limits
    const arrivals = {
      buffer: () => (this.#isAuthenticating ? this.#saslBuffer : this.#frames.buffer()),
      arrived: (sizeBytes: number, buffer: Uint8Array) => this.#arrived(sizeBytes, buffer),
      piece: (bytes: Buffer) => this.#piece(bytes),
    }
    this.#connection = authenticatedSocket(
      { ...address, clientId, tls, sasl, connectDeadlineMs, reauthenticationMarginMs, arrivals },
      (socket) => this.#watch(socket),
    )
  }

  /** Connects, asks what the broker can do, and authenticates; all within `connectDeadlineMs`. */
  static async open(
    address: Address,
    setting: ConnectionSetting,
    signal?: AbortSignal,
  ): Promise<BrokerConnection> {
    signal?.throwIfAborted()
    const connection = new BrokerConnection(address, setting)
    const { connectDeadlineMs } = setting.limits
    const timer = setting.clock.timer(connectDeadlineMs, () =>
      connection.destroy(noConnection(address, connectDeadlineMs)),
    )
    const onAbort = (): void => connection.destroy(asError(signal?.reason))
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      await connection.#unlessEnded(connection.#connection.connect())
      connection.#isConnected = true
      await connection.#introduce()
      if (setting.sasl !== undefined) await connection.#authenticate()
      return connection
    } catch (error) {
      connection.destroy(asError(error))
      throw error
    } finally {
      timer.cancel()
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** What the broker can do. */
  get abilities(): BrokerAbilities {
    if (this.#abilities === undefined) throw new TypeError('the connection is not open yet')
    return this.#abilities
  }

  get isOpen(): boolean {
    return this.#endedWith === undefined
  }

  /** Resolves with the reason when the connection has ended. */
  get ended(): Promise<Error> {
    return this.#ended.promise
  }

  /**
   * Sends and waits for the answer, whose error codes are the caller's to judge. Rejects with
   * MILLRACE_KAFKA_UNREACHABLE or MILLRACE_KAFKA_TIMED_OUT (what became of the request is not known),
   * MILLRACE_KAFKA_UNSUPPORTED_VERSION, MILLRACE_KAFKA_BAD_RESPONSE, or the signal's reason.
   */
  request<Q, R>(api: Api<Q, R>, request: Q, options: RequestOptions = {}): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      const send = (): void => {
        try {
          this.#send(api, request, { ...options, resolve, reject })
        } catch (error) {
          reject(asError(error))
        }
      }
      if (this.#isAuthenticating || this.#waiting.length > 0) this.#waiting.push(send)
      else if (this.#mustRenew()) {
        this.#waiting.push(send)
        void this.#renew()
      } else send()
    })
  }

  /** Ends the connection at once; requests without an answer reject with `reason`. */
  destroy(reason: Error): void {
    if (this.#endedWith !== undefined) return
    this.#endedWith = reason
    // kafkajs lets go of the timer of its connect only where the socket tells it of an error.
    this.#socket?.destroy(this.#isConnected ? undefined : reason)
    for (const pending of this.#pending.values()) pending.failed(reason)
    this.#pending.clear()
    this.#onDrained?.()
    for (const send of this.#waiting.splice(0)) send()
    this.#ended.resolve(reason)
  }

  #send<Q, R>(api: Api<Q, R>, request: Q, options: RequestOptions & Outcome<R>): void {
    const { signal, resolve, reject } = options
    signal?.throwIfAborted()
    if (this.#endedWith !== undefined) throw this.#endedWith
    const version = this.#version(api, options.version)
    const correlationId = this.#nextCorrelationId()
    const { clientId, clock, limits } = this.#setting
    const parts = requestParts(api, request, { version, correlationId, clientId })
    const deadlineMs = options.deadlineMs ?? limits.requestDeadlineMs
    const onAbort = (): void => reject(asError(signal?.reason))
    signal?.addEventListener('abort', onAbort, { once: true })
    const settled = (): void => {
      timer.cancel()
      signal?.removeEventListener('abort', onAbort)
    }
    const timer = clock.timer(deadlineMs, () =>
      this.destroy(requestTimedOut(this.address, api.name, deadlineMs)),
    )
    this.#pending.set(correlationId, {
      api: api.name,
      buffer: options.buffer,
      timer,
      answered: (body) => {
        settled()
        resolve(this.#decode(api, body, version))
      },
      failed: (error) => {
        settled()
        reject(error)
      },
    })
    this.#write(parts)
  }

  #version<Q, R>(api: Api<Q, R>, wanted: number | undefined): number {
    if (this.#abilities !== undefined) return this.#abilities.versionFor(api, wanted)
    return wanted ?? api.versions[1]
  }

  #nextCorrelationId(): number {
    this.#correlationId = (this.#correlationId + 1) & 0x7fffffff
    return this.#correlationId
  }

  /** One writev for the whole request; parts are not joined. */
  #write(parts: readonly Buffer[]): void {
    const socket = this.#socket
    if (socket === undefined) throw new TypeError('a request before the connection was opened')
    socket.cork()
    for (const part of parts) socket.write(part)
    socket.uncork()
  }

  #decode<Q, R>(api: Api<Q, R>, body: Buffer, version: number): R {
    const from = new WireReader(body, version >= api.flexibleFrom)
    // The answer to ApiVersions has a plain header, for who asks knows nothing yet.
    if (api.key !== API_VERSIONS.key) from.tags()
    return api.decode(from, version)
  }

  #arrived(sizeBytes: number, buffer: Uint8Array): void {
    if (this.#isAuthenticating) {
      this.#connection.saslBytes(Buffer.from(buffer.subarray(0, sizeBytes)))
      return
    }
    this.#guarded(() => this.#frames.arrived(sizeBytes, buffer))
  }

  #piece(bytes: Buffer): void {
    if (this.#isAuthenticating) this.#connection.saslBytes(bytes)
    else this.#guarded(() => this.#frames.piece(bytes))
  }

  /** Bytes that make no sense end the connection: where the next response begins cannot be told. */
  #guarded(take: () => void): void {
    if (this.#endedWith !== undefined) return
    try {
      take()
    } catch (error) {
      this.destroy(badResponse(this.address, asError(error).message, error))
    }
  }

  #bodyBuffer(correlationId: number, sizeBytes: number): Buffer {
    if (sizeBytes < 0 || sizeBytes > this.#setting.limits.maxResponseBytes) {
      throw new RangeError(`a response of ${sizeBytes} bytes`)
    }
    const pending = this.#pending.get(correlationId)
    if (pending === undefined) throw new RangeError(`a response to nothing that was asked`)
    return pending.buffer?.(sizeBytes) ?? Buffer.allocUnsafe(sizeBytes)
  }

  #complete(correlationId: number, body: Buffer): void {
    const pending = this.#pending.get(correlationId)
    if (pending === undefined) return
    try {
      pending.answered(body)
    } catch (error) {
      const why = `its answer to ${pending.api} cannot be read: ${asError(error).message}`
      this.destroy(badResponse(this.address, why, error))
      return
    }
    this.#pending.delete(correlationId)
    if (this.#pending.size === 0) this.#onDrained?.()
  }

  #watch(socket: Socket): void {
    this.#socket = socket
    socket.on('error', (error) => {
      this.destroy(this.#problem(error))
    })
    socket.on('close', () => {
      this.destroy(this.#problem(undefined))
    })
    socket.on('end', () => {
      const problem = this.#frames.beginsAsTls
        ? tlsFailed(this.address, 'it wants TLS on this port. Set tls, or use another port')
        : this.#problem(undefined)
      this.destroy(problem)
    })
  }

  #problem(error: Error | undefined): Error {
    const { tls, sasl } = this.#setting
    const isSecuring = tls !== undefined && !this.#isConnected
    return connectionProblem(this.address, { tls, sasl, isSecuring }, error)
  }

  async #introduce(): Promise<void> {
    const response = await this.request(API_VERSIONS, SOFTWARE)
    if (response.errorCode === CODE.unsupportedVersion) {
      const versions = { ours: 'version 3', theirs: 'older versions' }
      throw unsupportedVersion(this.address, API_VERSIONS.name, versions)
    }
    if (response.errorCode !== 0) {
      const why = `it answers ApiVersions with error ${response.errorCode}`
      throw badResponse(this.address, why)
    }
    const abilities = new BrokerAbilities(this.address, response)
    this.#abilities = abilities
    this.#connection.setVersions(abilities.kafkajsVersions())
    this.#connection.setSupportAuthenticationProtocol(abilities.knows(SASL_AUTHENTICATE_KEY))
  }

  async #authenticate(): Promise<void> {
    this.#isAuthenticating = true
    try {
      await this.#unlessEnded(this.#connection.authenticate())
    } catch (error) {
      if (error === this.#endedWith) throw error
      throw this.#problem(asError(error))
    } finally {
      this.#isAuthenticating = false
    }
  }

  #mustRenew(): boolean {
    if (this.#setting.sasl === undefined || this.#abilities === undefined) return false
    return this.isOpen && !this.#connection.isAuthenticated()
  }

  /** Waits for the answers that are under way, authenticates again, and lets those go that waited. */
  async #renew(): Promise<void> {
    const { clock, limits } = this.#setting
    if (this.#pending.size > 0) await new Promise<void>((drained) => (this.#onDrained = drained))
    this.#onDrained = undefined
    const timer = clock.timer(limits.connectDeadlineMs, () =>
      this.destroy(requestTimedOut(this.address, 'SASL', limits.connectDeadlineMs)),
    )
    try {
      if (this.isOpen) await this.#authenticate()
    } catch (error) {
      this.destroy(asError(error))
    } finally {
      timer.cancel()
    }
    for (const send of this.#waiting.splice(0)) send()
  }

  /** `what`, or the reason for which the connection ended before it. */
  async #unlessEnded(what: Promise<unknown>): Promise<void> {
    const ended = this.#ended.promise.then((reason) => {
      throw reason
    })
    // kafkajs rejects as well, later and with less to say.
    what.catch(() => undefined)
    ended.catch(() => undefined)
    try {
      await Promise.race([what, ended])
    } catch (error) {
      throw this.#endedWith ?? error
    }
  }
}
