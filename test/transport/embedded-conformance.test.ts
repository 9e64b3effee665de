import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../runtime/system-clock.ts'
import { transportConformance, type TransportHarness } from '../../transport/conformance.ts'
import { EmbeddedTransport } from '../../transport/embedded/embedded-transport.ts'
import type { EmbeddedLogOptions } from '../../transport/embedded/limits.ts'
import { openEmbeddedLog } from '../../transport/embedded/open.ts'

const root = await mkdtemp(join(tmpdir(), 'millrace-embedded-'))
afterAll(() => rm(root, { recursive: true, force: true }))
let folders = 0

function harness(options: Partial<EmbeddedLogOptions>): TransportHarness {
  const clock = systemClock()
  let folder = ''
  const open = () => openEmbeddedLog({ folder, clock, ...options })
  return {
    clock,
    open: () => {
      folders += 1
      folder = join(root, `log-${folders}`)
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

describe('an embedded log', () => {
  const leftOut = transportConformance(harness({}), it)
  it('leaves out only an election, for it has one leader and no records that another may lack', () => {
    expect(leftOut).toEqual([
      'a cursor whose records an election cut off fails instead of reading what took their place',
      'a cursor that is opened behind records which an election cut off fails where it is told their epoch',
    ])
  })
})

// The repeating case runs all of the others but the slow ones, twice, on one log.
const REPEATS_AND_REOPENS = /^all of these|opened again|crash|left open by a close/

describe('an embedded log of tiny segments, one open file, no pooled buffers and no end of cleaning', () => {
  const tiny = {
    segmentBytes: 500,
    batchBytes: 200,
    openFiles: 1,
    pooledBytes: 0,
    indexBatchRows: 1,
    cleanIntervalMs: 1,
    cleanRunBytes: 1,
    cleanKeyBytes: 1,
  }
  transportConformance(harness(tiny), (title, run) => {
    if (REPEATS_AND_REOPENS.test(title)) it(title, run)
  })
})

describe('an embedded log that syncs', () => {
  transportConformance(harness({ durability: 'fsync' }), (title, run) => {
    if (REPEATS_AND_REOPENS.test(title)) it(title, run)
  })
})
