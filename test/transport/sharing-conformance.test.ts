import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../runtime/system-clock.ts'
import { transportConformance, type TransportHarness } from '../../transport/conformance.ts'
import { BufferPool } from '../../transport/buffer-pool.ts'
import { EmbeddedTransport } from '../../transport/embedded/embedded-transport.ts'
import { EMBEDDED_LOG_LIMITS, type EmbeddedLogOptions } from '../../transport/embedded/limits.ts'
import { prepareFolder } from '../../transport/embedded/log-folder.ts'
import { openEmbeddedLog } from '../../transport/embedded/open.ts'
import { SharedBroker } from '../../transport/embedded/sharing/shared-broker.ts'
import type { Transport } from '../../transport/transport.ts'

const root = await mkdtemp(join(tmpdir(), 'millrace-sharing-'))
afterAll(() => rm(root, { recursive: true, force: true }))

/** Every case runs on a log that another opening holds: all of it goes through the socket. */
function harness(options: Partial<EmbeddedLogOptions> = {}): TransportHarness {
  const clock = systemClock()
  const limits = { ...EMBEDDED_LOG_LIMITS, ...options }
  let path = ''
  let folders = 0
  const open = async (): Promise<Transport> => {
    const holder = await openEmbeddedLog({ folder: path, clock, share: true, ...options })
    const folder = await prepareFolder(path)
    const buffers = new BufferPool(limits.pooledBytes)
    const log = { folder: path, clock, share: true, ...options }
    const broker = await SharedBroker.open({ folder, log, clock, limits, buffers })
    const owner = {
      [Symbol.asyncDispose]: async (): Promise<void> => {
        await using _holder = holder
        await broker[Symbol.asyncDispose]()
      },
    }
    return new EmbeddedTransport({ broker, owner, clock, limits })
  }
  return {
    clock,
    open: () => {
      folders += 1
      path = join(root, `log-${Object.keys(options).length}-${folders}`)
      return open()
    },
    reopen: open,
    crash: async (log) => {
      if (log instanceof EmbeddedTransport) await log.abandon()
    },
    compact: async (log, of) => {
      if (log instanceof EmbeddedTransport) await log.compact(of)
    },
  }
}

describe('a log that another process holds', () => {
  const leftOut = transportConformance(harness(), it)
  it('leaves out only an election, for there is one copy of the records', () => {
    expect(leftOut).toEqual([
      'a cursor whose records an election cut off fails instead of reading what took their place',
      'a cursor that is opened behind records which an election cut off fails where it is told their epoch',
    ])
  })
})

// The repeating case runs all of the others but the slow ones, twice, on one log.
const REPEATS = /^all of these/

describe('a holder that lets hardly anything be under way', () => {
  const tiny = { sessionBytes: 1, sessionRequests: 1, pooledBytes: 0, batchBytes: 200 }
  transportConformance(harness(tiny), (title, run) => {
    if (REPEATS.test(title)) it(title, run)
  })
})
