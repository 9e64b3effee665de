/**
 * The app that test/runtime/kill.test.ts kills: counts and enriches over an embedded log in a folder.
 * Run as a program it lives until it is killed, and writes a line whenever it has committed more
 * results, or is done.
 */
import { join } from 'node:path'
import { argv } from 'node:process'
import { pathToFileURL } from 'node:url'
import { sleep } from '../../model/clock.ts'
import { asPartition, asTopic } from '../../model/position.ts'
import { streams, type StreamsApp } from '../../runtime/app.ts'
import type { Guarantee } from '../../runtime/config.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { memoryRegistry } from '../../serdes/memory-registry.ts'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import { openEmbeddedLog } from '../../transport/embedded/open.ts'
import type { Transport } from '../../transport/transport.ts'

export const PARTITIONS = 2
/** How often the program looks whether it has committed more. */
const LOOK_MS = 2

/** Counts by key, and each value in upper case after a call that takes a while. */
export function killable(folder: string, transport: Transport, guarantee: Guarantee): StreamsApp {
  const clock = systemClock()
  const built = topology('killed', ({ stream }) => {
    const raw = stream('in', { key: text, value: text })
    raw
      .groupByKey()
      .count({ store: 'counts' })
      .toStream()
      .mapValues(String, { value: text })
      .to('counted')
    raw
      .enrich('upper', {
        kind: 'function',
        value: text,
        call: async ({ value }, { signal }) => {
          await sleep(clock, clock.random() * 5, signal)
          return value.toUpperCase()
        },
      })
      .to('called')
  })
  return streams(built, {
    transport,
    clock,
    guarantee,
    registry: memoryRegistry(),
    state: { kind: 'folder', folder: join(folder, 'state') },
    limits: { commitIntervalMs: 10, sliceRecords: 4, flushIntervalMs: 20, restartBackoffMs: 5 },
  })
}

/** Grows with each commit that has results. */
async function committedEnd({ admin }: Transport): Promise<number> {
  const places = Array.from({ length: PARTITIONS }, (_, number) => ({
    topic: asTopic('called'),
    partition: asPartition(number),
  }))
  const ends = await admin.offsets(places, 'latest', 'read_committed')
  return ends.reduce((sum, end) => sum + end, 0)
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) {
  const [, , folder = '', guarantee = ''] = argv
  const transport = await openEmbeddedLog({ folder: join(folder, 'log'), clock: systemClock() })
  const app = killable(folder, transport, guarantee as Guarantee)
  await app.start()
  let isDone = false
  void app.caughtUp().then(() => (isDone = true))
  let told = 0
  process.stdout.write('running\n')
  for (;;) {
    const committed = await committedEnd(transport)
    if (committed > told || isDone) process.stdout.write(`committed up to ${committed}\n`)
    told = committed
    await Promise.race([app.closed, sleep(systemClock(), LOOK_MS)])
  }
}
