/** The conformance suite of the log port on real brokers. */
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../runtime/system-clock.ts'
import { transportConformance, type TransportHarness } from '../../transport/conformance.ts'
import type { Transport } from '../../transport/transport.ts'
import { openSettledLog, type SettledLog } from './settled-log.ts'

const clock = systemClock()
/** The last test of the suite runs all the others twice. */
const TIMEOUT_MS = 300_000
const AGAIN = 'all of these hold again on a log that was used before, beside its old topics'

/** What is not there is looked for a shorter time than usual: seconds for each case that needs it are a minute for all. */
const QUICK_TO_MISS = {
  producer: { unknownPartitionMs: 1_000 },
  reader: { unknownTopicMs: 1_000 },
}

/** Cases that need a hand inside the log: test/kafka/reader-cluster.test.ts has elections that cut records off. */
const NOT_STAGED = [
  'a cursor whose records an election cut off fails instead of reading what took their place',
  'a cursor that is opened behind records which an election cut off fails where it is told their epoch',
  'a reader that waits for the end arrives where compaction removed records',
  'compaction keeps tombstones, fields, and whatever an open transaction may yet change',
  'cursors stay where they are while compaction takes the log apart under them',
  'records are deleted from a compacted log, and it is compacted again',
]

/** Registers the whole suite on brokers that are there. */
export function conformanceOn(name: string, brokers: () => readonly string[]): void {
  describe.concurrent(`a log on ${name}`, () => register(brokers, () => true))
}

/**
 * Registers the suite on brokers that a file starts or borrows, but for the test that runs all cases
 * again on a used log: how used a log is, is the same to every broker.
 */
export function conformanceOnce(name: string, brokers: () => readonly string[]): void {
  describe.concurrent(`a log on ${name}`, () => register(brokers, (title) => title !== AGAIN))
}

function register(brokers: () => readonly string[], isWanted: (title: string) => boolean): void {
  const titles: string[] = []
  const notStaged = transportConformance(harnessOf(brokers), (title, run) => {
    titles.push(title)
    if (isWanted(title)) test(title, { timeout: TIMEOUT_MS }, run)
  })

  test('runs all cases but those that need a hand inside the log', () => {
    expect(notStaged).toEqual(NOT_STAGED)
    expect(titles).toContain(AGAIN)
  })
}

function harnessOf(brokers: () => readonly string[]): TransportHarness {
  // Cases run side by side, each with logs of its own.
  const logs = new WeakMap<Transport, SettledLog>()
  const open = async (): Promise<SettledLog> => {
    const log = await openSettledLog({ brokers: brokers(), clock, ...QUICK_TO_MISS })
    logs.set(log, log)
    return log
  }
  return {
    clock,
    prefix: () => `c${clock.uuid().slice(0, 8)}.`,
    open,
    reopen: open,
    crash: async (log) => await logs.get(log)?.abandon(),
  }
}
