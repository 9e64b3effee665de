/** Serves the log that this process holds to other processes, over the socket in its folder. */
import { createServer, type Server, type Socket } from 'node:net'
import { sleep, type Clock } from '../../../model/clock.ts'
import type { EmbeddedLog } from '../embedded-log.ts'
import { diskError } from '../folder-errors.ts'
import type { EmbeddedLogLimits } from '../limits.ts'
import { ServedSession } from './served-session.ts'
import { listenIn, removeSocket } from './socket-file.ts'

/** What a server needs. */
export interface ServerOptions {
  readonly folder: string
  readonly clock: Clock
  readonly limits: EmbeddedLogLimits
}

/** The door of a held log. */
export class LogServer implements AsyncDisposable {
  readonly #log: EmbeddedLog
  readonly #options: ServerOptions
  readonly #server: Server
  readonly #sessions = new Set<ServedSession>()
  #isClosing = false

  private constructor(log: EmbeddedLog, options: ServerOptions) {
    this.#log = log
    this.#options = options
    this.#server = createServer((socket) => this.#accept(socket))
    this.#server.maxConnections = options.limits.sessions
  }

  /** Opens the door of a log. */
  static async open(log: EmbeddedLog, options: ServerOptions): Promise<LogServer> {
    const server = new LogServer(log, options)
    try {
      await listenIn(options.folder, server.#server)
    } catch (error) {
      throw diskError(error, options.folder)
    }
    return server
  }

  /** Shuts the door; then requests under way are answered, for as long as the limit allows. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true
    await removeSocket(this.#options.folder)
    const isShut = new Promise<void>((resolve) => {
      this.#server.close(() => resolve())
    })
    const farewell = new AbortController()
    const { clock, limits } = this.#options
    const closing = Promise.all([...this.#sessions].map((session) => session.close()))
    const isLate = sleep(clock, limits.farewellMs, farewell.signal).catch(() => undefined)
    await Promise.race([closing, isLate])
    const gone = Promise.race([isShut, isLate])
    await gone
    farewell.abort()
    for (const session of this.#sessions) session.drop()
    await isShut
  }

  #accept(socket: Socket): void {
    if (this.#isClosing) {
      socket.destroy()
      return
    }
    const { clock, limits } = this.#options
    const session = new ServedSession(socket, {
      log: this.#log,
      clock,
      limits,
      onClose: (ended) => this.#sessions.delete(ended),
    })
    this.#sessions.add(session)
  }
}
