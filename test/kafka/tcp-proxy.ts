/**
 * A way to a broker that can be spoiled: it stalls, loses answers, is slow, breaks, or is not there.
 * A connection that met a stall stays silent for good, as one behind a router that forgot it does:
 * its other end hears nothing, not even that it is closed, and has to notice by itself.
 */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { sleep } from '../../model/clock.ts'
import { systemClock } from '../../runtime/system-clock.ts'

const clock = systemClock()

/** How answers are held up. */
export interface Slowness {
  /** Time that each answer is late. */
  readonly lateMs: number
  /** Bytes of answers that pass in a second, on each connection. */
  readonly bytesPerSecond: number
}

/** pass: all goes through. stall: nothing does. mute: what is asked arrives, and no answer comes back. */
type Mode = 'pass' | 'stall' | 'mute'

/** A proxy on a port of its own, until it is disposed of. */
export class TcpProxy implements AsyncDisposable {
  /** On loopback; the same for as long as the proxy lives. */
  readonly port: number
  /** The broker's port; until it is known nobody gets through. */
  targetPort: number | undefined
  #server: Server | undefined
  #mode: Mode = 'pass'
  #slowness: Slowness | undefined
  readonly #lines = new Set<Line>()
  #givenUp = 0
  #longestSilenceMs = 0

  private constructor(server: Server, port: number) {
    this.#server = server
    this.port = port
    server.on('connection', (socket) => this.#accept(socket))
  }

  static async listen(): Promise<TcpProxy> {
    const server = await listening(0)
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    return new TcpProxy(server, address.port)
  }

  get isListening(): boolean {
    return this.#server !== undefined
  }

  /** Connections that their client gave up while they were silent. */
  get givenUp(): number {
    return this.#givenUp
  }

  /** The longest time for which a client waited on a silent connection, before it gave it up or until now. */
  get longestSilenceMs(): number {
    const now = clock.monotonic()
    const open = [...this.#lines].map((line) => line.silenceMs(now))
    return Math.max(this.#longestSilenceMs, ...open)
  }

  /** From here on all goes through, on new connections; what was silent stays so. */
  pass(): void {
    this.#mode = 'pass'
    this.#slowness = undefined
  }

  /** Takes bytes and connections, and says nothing. */
  stall(): void {
    this.#mode = 'stall'
  }

  /** Lets bytes through to the broker, and loses its answers. */
  mute(): void {
    this.#mode = 'mute'
  }

  /** Holds up answers. */
  slow(slowness: Slowness): void {
    this.#slowness = slowness
  }

  /** Ends all connections: in the middle of what they carry, or after its last byte. */
  cut(how: 'reset' | 'end'): void {
    for (const line of this.#lines) line.cut(how)
  }

  /** Nobody listens any more, and what was connected is not. */
  async refuse(): Promise<void> {
    const server = this.#server
    this.#server = undefined
    server?.close()
    this.cut('reset')
    if (server !== undefined) await once(server, 'close')
  }

  /** Listens again, on the same port. */
  async admit(): Promise<void> {
    this.#server = await listening(this.port)
    this.#server.on('connection', (socket) => this.#accept(socket))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.refuse()
  }

  #accept(client: Socket): void {
    const broker = this.targetPort === undefined ? undefined : connect(this.targetPort, '127.0.0.1')
    if (broker === undefined) {
      client.destroy()
      return
    }
    const line = new Line({ client, broker }, () => ({ mode: this.#mode, slow: this.#slowness }))
    this.#lines.add(line)
    client.once('close', () => {
      this.#lines.delete(line)
      const silenceMs = line.silenceMs(clock.monotonic())
      if (silenceMs > 0) this.#givenUp += 1
      this.#longestSilenceMs = Math.max(this.#longestSilenceMs, silenceMs)
    })
  }
}

/** How it is on the way just now. */
interface Weather {
  readonly mode: Mode
  readonly slow: Slowness | undefined
}

/** One connection through the proxy. */
class Line {
  readonly #client: Socket
  readonly #broker: Socket
  readonly #weather: () => Weather
  /** Since when something was lost on it. */
  #silentSinceMs: number | undefined
  #isCut = false
  #answers: Promise<void> = Promise.resolve()
  #dueMs = 0

  constructor(
    { client, broker }: { readonly client: Socket; readonly broker: Socket },
    weather: () => Weather,
  ) {
    this.#client = client
    this.#broker = broker
    this.#weather = weather
    client.setNoDelay(true)
    broker.setNoDelay(true)
    client.on('data', (bytes: Buffer) => this.#asked(bytes))
    broker.on('data', (bytes: Buffer) => this.#answered(bytes))
    client.on('error', () => {})
    broker.on('error', () => {})
    client.once('close', () => broker.destroy())
    // Behind a stall nobody hears that the broker has closed.
    broker.once('close', () => {
      if (this.#silentSinceMs === undefined) void this.#answers.then(() => client.end())
    })
  }

  /** How long the client has been waiting in vain; 0 where it is not, or where it was told. */
  silenceMs(now: number): number {
    return this.#silentSinceMs === undefined || this.#isCut ? 0 : now - this.#silentSinceMs
  }

  cut(how: 'reset' | 'end'): void {
    this.#isCut = true
    this.#broker.destroy()
    if (how === 'reset') this.#client.resetAndDestroy()
    else this.#client.end()
  }

  #asked(bytes: Buffer): void {
    const isLost = this.#silentSinceMs !== undefined || this.#weather().mode === 'stall'
    if (isLost) this.#silentSinceMs ??= clock.monotonic()
    else write(this.#broker, bytes, this.#client)
  }

  #answered(bytes: Buffer): void {
    const { mode, slow } = this.#weather()
    if (this.#silentSinceMs !== undefined || mode !== 'pass') {
      this.#silentSinceMs ??= clock.monotonic()
      return
    }
    if (slow === undefined) {
      void (this.#answers = this.#answers.then(() => write(this.#client, bytes, this.#broker)))
      return
    }
    const now = clock.monotonic()
    const wireMs = (bytes.length * 1000) / slow.bytesPerSecond
    const dueMs = (this.#dueMs = Math.max(this.#dueMs, now + slow.lateMs) + wireMs)
    this.#answers = this.#answers.then(async () => {
      await sleep(clock, Math.max(0, dueMs - clock.monotonic()))
      write(this.#client, bytes, this.#broker)
    })
  }
}

function write(to: Socket, bytes: Buffer, from: Socket): void {
  if (to.destroyed || to.write(bytes)) return
  from.pause()
  to.once('drain', () => from.resume())
}

async function listening(port: number): Promise<Server> {
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  return server
}
