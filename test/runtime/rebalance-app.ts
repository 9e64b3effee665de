/**
 * One process of the group that test/runtime/rebalance.test.ts kills and adds to: counts and joins
 * over an embedded log that all of them share. Run as a program it lives until it is told to stop.
 */
import { join } from 'node:path'
import { argv } from 'node:process'
import { pathToFileURL } from 'node:url'
import { hours } from '../../model/duration.ts'
import { joinWindows } from '../../processors/join-windows.ts'
import { streams, type StreamsApp } from '../../runtime/app.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { memoryRegistry } from '../../serdes/memory-registry.ts'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import { openEmbeddedLog } from '../../transport/embedded/open.ts'
import type { Transport } from '../../transport/transport.ts'

export const PARTITIONS = 4
export const TOPICS = ['left', 'right', 'counted', 'joined'] as const

/** A process of the group. A dead one is missed after half a second. */
export function member(folder: string, transport: Transport): StreamsApp {
  const built = topology('shared', ({ stream }) => {
    const left = stream('left', { key: text, value: text })
    const right = stream('right', { key: text, value: text })
    left
      .groupByKey()
      .count({ store: 'counts' })
      .toStream()
      .mapValues(String)
      .to('counted', { value: text })
    left
      .join(right, (l, r) => `${l}+${r}`, { windows: joinWindows(0, { graceMs: hours(1) }) })
      .to('joined', { value: text })
  })
  return streams(built, {
    transport,
    clock: systemClock(),
    registry: memoryRegistry(),
    assignment: { kind: 'group' },
    state: { kind: 'folder', folder: join(folder, 'state') },
    limits: {
      commitIntervalMs: 20,
      sessionTimeoutMs: 500,
      heartbeatIntervalMs: 50,
      flushIntervalMs: 50,
      restartBackoffMs: 20,
    },
    onEvent: (event) => void process.stdout.write(`${JSON.stringify(event)}\n`),
  })
}

if (import.meta.url === pathToFileURL(argv[1] ?? '').href) {
  const folder = argv[2] ?? ''
  const clock = systemClock()
  await using transport = await openEmbeddedLog({ folder: join(folder, 'log'), clock, share: true })
  const app = member(folder, transport)
  process.once('SIGTERM', () => void app.close().catch(() => {}))
  await app.start()
  await app.closed
}
