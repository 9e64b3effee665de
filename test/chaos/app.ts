/**
 * One process of the group that the chaos test kills, halts and starts again. It runs until it is
 * told to stop, or until whoever started it is gone; each event is a line of JSON.
 */
import { join } from 'node:path'
import { argv } from 'node:process'
import { streams } from '../../runtime/app.ts'
import type { StreamsLimits } from '../../runtime/config.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { httpRegistry } from '../../serdes/http-registry.ts'
import { eventLine, runTold } from '../told-process.ts'
import { chaosPipeline } from './pipeline.ts'
import { openPlace, SESSION_MS, type Place } from './place.ts'

/** Short times, so that much happens in a minute: sessions end, state moves and is removed. */
const LIMITS: Partial<StreamsLimits> = {
  commitIntervalMs: 50,
  sessionTimeoutMs: SESSION_MS,
  heartbeatIntervalMs: 300,
  rebalanceTimeoutMs: 10_000,
  transactionTimeoutMs: 10_000,
  flushIntervalMs: 300,
  repartitionPurgeMs: 2_000,
  stateCleanupDelayMs: 10_000,
  restartBackoffMs: 50,
}

const place = JSON.parse(argv[2] ?? '{}') as Place
const clock = systemClock()
process.stdin.resume().once('end', () => process.exit(1))
await using transport = await openPlace(place, clock)
const app = streams(chaosPipeline(), {
  transport,
  clock,
  registry: httpRegistry({ url: place.registryUrl, clock }),
  guarantee: place.guarantee,
  assignment: { kind: 'group', standbys: place.standbys },
  state: { kind: 'folder', folder: join(place.folder, 'state') },
  limits: LIMITS,
  onEvent: (event) => say({ ...event }),
})
await runTold(app, say)

function say(event: Readonly<Record<string, unknown>>): void {
  process.stdout.write(eventLine({ at: clock.now(), ...event }))
}
