/** What the tests of state/ share: a clock moved by hand, seeded numbers, text serdes, temporary folders. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { Clock } from '../../model/clock.ts'
import type { OpenSerde } from '../../serdes/serde.ts'

export interface HandClock extends Clock {
  advance(ms: number): void
}

export function handClock(): HandClock {
  let nowMs = 1_785_000_000_000
  let uuids = 0
  return {
    now: () => nowMs,
    monotonic: () => nowMs,
    timer: () => {
      throw new Error('state uses no timers')
    },
    yield: () => new Promise((resolve) => setImmediate(resolve)),
    random: () => 0.5,
    uuid: () => `00000000-0000-4000-8000-${String(++uuids).padStart(12, '0')}`,
    advance: (ms) => {
      nowMs += ms
    },
  }
}

/** UTF-8 behind a prefix, as a registry's serdes write it. */
export function textSerde(prefix = Buffer.alloc(0)): OpenSerde<string> {
  return {
    prefix,
    serialize: (value) => Buffer.concat([prefix, Buffer.from(value)]),
    deserialize: (buffer, start, end) => buffer.toString('utf8', start + prefix.length, end),
  }
}

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-state-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}
