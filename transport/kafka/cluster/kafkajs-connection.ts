/**
 * The only door to kafkajs. Taken is its inner Connection: it opens the socket, with TLS, and speaks
 * SASL. Its request queue is not: requests pushed there skip re-authentication, are overtaken after a
 * throttle and wait for each other at the end. So that queue carries the handful of packets of SASL
 * alone, and broker-connection.ts everything else over the same socket.
 *
 * The queue sets a timer with a negative delay after each answer, which Node reports as a warning. The
 * timer serves throttled requests, which it never has here; it is switched off connection by
 * connection, so that another user of kafkajs in this process sees it as it is.
 */
import { createRequire } from 'node:module'
import { connect, isIP, type NetConnectOpts, type Socket } from 'node:net'
import { connect as connectTls, type ConnectionOptions } from 'node:tls'
import type { Address } from '../kafka-errors.ts'
import { tokenProblem } from './connection-problem.ts'
import type { KafkaSasl, KafkaTls } from '../options/security.ts'

/** The version whose inner parts this file knows. */
const VERSION = '2.2.4'
const KEEP_ALIVE_MS = 60_000
/** Of a session's life, what the margin before its end may take. */
const LARGEST_MARGIN = 0.25

/** Where the bytes that arrive are put and who is told. */
export interface Arrivals {
  /** Where the next bytes are to go. */
  buffer(): Buffer
  /** So many bytes stand in that buffer now. */
  arrived(sizeBytes: number, buffer: Uint8Array): void
  /** A piece that Node brought in a buffer of its own. */
  piece(bytes: Buffer): void
}

/** What a socket is to be. */
export interface SocketOptions {
  readonly host: string
  readonly port: number
  readonly clientId: string
  readonly tls: KafkaTls | undefined
  readonly sasl: KafkaSasl | undefined
  readonly connectDeadlineMs: number
  readonly reauthenticationMarginMs: number
  readonly arrivals: Arrivals
}

/** kafkajs' Connection, as far as it is used. */
export interface AuthenticatedSocket {
  /** There from the call of `connect` on. */
  readonly socket: Socket
  connect(): Promise<unknown>
  /** What the broker can do, by API key: SASL looks up its own requests in it. */
  setVersions(versions: Readonly<Record<number, { minVersion: number; maxVersion: number }>>): void
  setSupportAuthenticationProtocol(supported: boolean): void
  authenticate(): Promise<void>
  /** False before `authenticate`, and again shortly before the session ends. */
  isAuthenticated(): boolean
  /** Takes bytes that belong to SASL. */
  saslBytes(bytes: Buffer): void
}

interface KafkajsConnection extends Omit<AuthenticatedSocket, 'saslBytes'> {
  processData(bytes: Buffer): void
  /** Milliseconds, as a Long; 0 where a session has no end. */
  readonly sessionLifetime: { toString(): string }
  reauthenticationThreshold: number
  readonly requestQueue: { scheduleCheckPendingRequests(): void }
}

type ConnectionClass = new (options: Readonly<Record<string, unknown>>) => KafkajsConnection

/** What kafkajs hands to a factory of sockets. */
interface SocketRequest {
  readonly host: string
  readonly port: number
  readonly onConnect: () => void
}

/** A connection that is not open yet. `onSocket` is given the socket before anything happens on it. */
export function authenticatedSocket(
  options: SocketOptions,
  onSocket: (socket: Socket) => void,
): AuthenticatedSocket {
  const { host, port, clientId, sasl, tls, arrivals } = options
  const Connection = loadConnection()
  const connection = new Connection({
    host,
    port,
    clientId,
    ssl: tls === undefined ? null : {},
    sasl: sasl === undefined ? null : saslOptions(sasl, { host, port }),
    connectionTimeout: options.connectDeadlineMs,
    reauthenticationThreshold: options.reauthenticationMarginMs,
    requestTimeout: options.connectDeadlineMs,
    enforceRequestTimeout: false,
    logger: SILENT,
    socketFactory: ({ onConnect, ...to }: SocketRequest) => {
      const socket = openSocket({ ...options, host: to.host, port: to.port }, onConnect)
      onSocket(socket)
      return socket
    },
  })
  connection.requestQueue.scheduleCheckPendingRequests = () => {}
  // kafkajs passes on what Node brings in pieces; who it is for is known on the other side alone.
  const saslBytes = connection.processData.bind(connection)
  const authenticate = connection.authenticate.bind(connection)
  return Object.assign(connection, {
    processData: (bytes: Buffer) => arrivals.piece(bytes),
    saslBytes,
    authenticate: async () => {
      await authenticate()
      // A margin as long as the session itself would renew it without end, which brokers refuse.
      const lifeMs = Number(connection.sessionLifetime.toString())
      const most = lifeMs * LARGEST_MARGIN
      connection.reauthenticationThreshold = Math.min(options.reauthenticationMarginMs, most)
    },
  })
}

function openSocket(options: SocketOptions, onConnect: () => void): Socket {
  const { host, port, tls, arrivals } = options
  const socket =
    tls === undefined
      ? connect(plainOptions({ host, port }, arrivals), onConnect)
      : connectTls({ ...tlsOptions(tls, host), host, port }, onConnect)
  socket.setNoDelay(true)
  socket.setKeepAlive(true, KEEP_ALIVE_MS)
  return socket
}

/** A plain socket reads into our buffers; one of TLS cannot, and brings pieces. */
function plainOptions(
  to: { readonly host: string; readonly port: number },
  arrivals: Arrivals,
): NetConnectOpts {
  return {
    ...to,
    onread: {
      buffer: () => arrivals.buffer(),
      callback: (sizeBytes, buffer) => {
        arrivals.arrived(sizeBytes, buffer)
        return true
      },
    },
  }
}

function tlsOptions(tls: KafkaTls, host: string): ConnectionOptions {
  const { ca, cert, key, passphrase, serverName, verify = true, verifyName = true } = tls
  const name = serverName ?? (isIP(host) === 0 ? host : undefined)
  return {
    rejectUnauthorized: verify,
    ...(verifyName ? {} : { checkServerIdentity: () => undefined }),
    ...(ca === undefined ? {} : { ca: typeof ca === 'string' ? ca : [...ca] }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(name === undefined ? {} : { servername: name }),
  }
}

function saslOptions(sasl: KafkaSasl, at: Address): Record<string, unknown> {
  if (sasl.mechanism === 'OAUTHBEARER') {
    const oauthBearerProvider = async (): Promise<{ value: string }> => {
      try {
        return { value: await sasl.token() }
      } catch (error) {
        throw tokenProblem(at, error)
      }
    }
    return { mechanism: sasl.mechanism, oauthBearerProvider }
  }
  return { ...sasl }
}

function loadConnection(): ConnectionClass {
  const load = createRequire(import.meta.url)
  const { version } = load('kafkajs/package.json') as { version: string }
  if (version !== VERSION) {
    throw new Error(
      `kafkajs ${version} is installed where ${VERSION} is needed: its inner parts are used`,
    )
  }
  return load('kafkajs/src/network/connection') as ConnectionClass
}

/** Errors come back by promise and event; kafkajs' log would say them twice. */
const SILENT = {
  namespace: () => SILENT,
  debug() {},
  info() {},
  warn() {},
  error() {},
}
