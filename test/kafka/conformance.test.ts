import { describe, expect, inject, test } from 'vitest'
import { systemClock } from '../../runtime/system-clock.ts'
import { transportConformance, type TransportHarness } from '../../transport/conformance.ts'
import { openSettledLog, type SettledLog } from './settled-log.ts'

const clock = systemClock()
/** The last test of the suite runs all the others twice. */
const TIMEOUT_MS = 300_000

function harness(brokers: readonly string[]): TransportHarness {
  const open = (): Promise<SettledLog> => openSettledLog({ brokers, clock })
  let last: SettledLog | undefined
  return {
    clock,
    prefix: () => `c${clock.uuid().slice(0, 8)}.`,
    open: async () => (last = await open()),
    reopen: async () => (last = await open()),
    crash: async () => await last?.abandon(),
  }
}

describe('a log on Kafka with one node', () => {
  const skipped = transportConformance(harness(inject('kafkaBrokers')), (title, run) => {
    test(title, { timeout: TIMEOUT_MS }, run)
  })

  test('runs all cases but those that need a hand inside the log', () => {
    expect(skipped).toMatchInlineSnapshot(`
      [
        "a cursor whose records an election cut off fails instead of reading what took their place",
        "a reader that waits for the end arrives where compaction removed records",
        "compaction keeps tombstones, fields, and whatever an open transaction may yet change",
        "cursors stay where they are while compaction takes the log apart under them",
        "records are deleted from a compacted log, and it is compacted again",
      ]
    `)
  })
})
