/**
 * Finds out who holds a shared log: the process that serves it, or this one. The lock of the folder
 * decides, and the operating system gives it free whatever way its holder ended; the socket is only
 * the way to whoever has it.
 */
import { sleep, type Clock } from '../../../model/clock.ts'
import { logInUse } from '../folder-errors.ts'
import type { BufferPool } from '../../buffer-pool.ts'
import type { LogBroker } from '../broker.ts'
import type { EmbeddedLog } from '../embedded-log.ts'
import type { EmbeddedLogLimits, EmbeddedLogOptions } from '../limits.ts'
import { LocalBroker } from '../local-broker.ts'
import { readHolder, type LogFolder } from '../log-folder.ts'
import { holdLog } from '../open-log.ts'
import { LogServer } from './log-server.ts'
import { RemoteBroker } from './remote-broker.ts'
import { logUnreachable } from './sharing-errors.ts'

/** The first wait of a search; each further one is up to twice as long. */
const FIRST_RETRY_MS = 2
/** Looks that must find the same holder which does not share, for the file of a dead one may still be there. */
const LOOKS_AT_HOLDER = 3

/** A way to the log that works now. */
export interface Holding extends AsyncDisposable {
  readonly broker: LogBroker
  readonly pid: number | undefined
  /** Calls `run` once the way is lost. */
  onLost(run: () => void): void
}

/** What a search needs. */
export interface HoldingOptions {
  readonly folder: LogFolder
  readonly log: EmbeddedLogOptions
  readonly clock: Clock
  readonly limits: EmbeddedLogLimits
  readonly buffers: BufferPool
}

/** How long a search goes on. */
export interface Search {
  /** It ends after the deadline, or where the holder does not share. */
  readonly isFirst: boolean
  readonly signal?: AbortSignal
}

/** Looks until there is a holder. Throws what stands against holding the log where nobody else does. */
export async function findHolder(
  options: HoldingOptions,
  { isFirst, signal }: Search,
): Promise<Holding> {
  const { clock, limits, folder } = options
  const since = clock.monotonic()
  let looksAtUnshared = 0
  for (let retryMs = FIRST_RETRY_MS; ; retryMs = Math.min(retryMs * 2, limits.electionRetryMs)) {
    signal?.throwIfAborted()
    const found = (await served(options, signal)) ?? (await held(options))
    if (found !== undefined) return found
    const holder = await readHolder(folder)
    const isUnshared = holder !== undefined && !holder.isSharing && isAlive(holder.pid)
    looksAtUnshared = isUnshared ? looksAtUnshared + 1 : 0
    if (isFirst && looksAtUnshared >= LOOKS_AT_HOLDER) throw logInUse(folder.path, holder?.pid)
    const waitedMs = Math.round(clock.monotonic() - since)
    if (isFirst && waitedMs > limits.holderDeadlineMs) {
      throw logUnreachable(folder.path, { waitedMs, holderPid: holder?.pid })
    }
    // Those that lost one holder look at different moments for the next.
    await sleep(clock, retryMs * clock.random(), signal)
  }
}

async function served(
  { folder: { path: folder }, ...options }: HoldingOptions,
  signal: AbortSignal | undefined,
): Promise<Holding | undefined> {
  const { durability = 'process' } = options.log
  const broker = await RemoteBroker.connect({ ...options, folder, durability, signal })
  return (
    broker && {
      broker,
      pid: broker.holderPid,
      onLost: (run) => broker.onLost(run),
      [Symbol.asyncDispose]: async () => broker[Symbol.dispose](),
    }
  )
}

async function held(options: HoldingOptions): Promise<Holding | undefined> {
  const { folder, clock, limits } = options
  const log = await holdLog(options.log, folder)
  if (log === undefined) return undefined
  const server = await serve(log, options)
  return {
    broker: new LocalBroker(log),
    pid: process.pid,
    // It is lost by closing it alone.
    onLost: () => undefined,
    [Symbol.asyncDispose]: async () => {
      await using _log = log
      await server[Symbol.asyncDispose]()
    },
  }

  async function serve(opened: EmbeddedLog, { folder: { path } }: HoldingOptions) {
    try {
      return await LogServer.open(opened, { folder: path, clock, limits })
    } catch (error) {
      await opened[Symbol.asyncDispose]()
      throw error
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // It is there, and belongs to somebody else.
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
