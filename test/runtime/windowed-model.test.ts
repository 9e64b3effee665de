/**
 * Windows and sessions against plain lists, through stops and crashes that take uncommitted work with
 * them: what comes out is what comes out of an app that is never disturbed, record by record.
 */
import { describe, expect, test } from 'vitest'
import { sessions } from '../../processors/session-windows.ts'
import { hopping } from '../../processors/time-windows.ts'
import { text } from '../../serdes/primitives.ts'
import { describeWindowed, sessionWindowed, timeWindowed } from '../../serdes/windowed.ts'
import { topologyTestDriver } from '../../testing/topology-test-driver.ts'
import { topology } from '../../topology/builder.ts'
import { seeded } from '../state/fixtures-random.ts'
import { drawnSeed } from '../seed.ts'

const SERDES = { key: text, value: text }
const [SIZE, ADVANCE, GAP, GRACE] = [20, 8, 6, 9]
const KEYS = ['a', 'ab', 'b']
const RUNS = 12
const RECORDS = 60

interface Given {
  readonly key: string
  readonly value: string
  readonly timestampMs: number
}

interface Row {
  readonly key: string
  readonly startMs: number
  readonly endMs: number
  value: string | null
}

/** Values of windows put together; one that gets long is removed. */
function longer(sum: string, value: string): string | null {
  return sum.length > 8 ? null : sum + value
}

function told({ key, startMs, endMs, value }: Row, timestamp: number): string {
  return `${describeWindowed({ key, startMs, endMs })}=${String(value)}@${timestamp}`
}

/** What hopping windows give. */
function inWindows(records: readonly Given[]): string[] {
  const rows = new Map<string, { value: string; timestamp: number }>()
  const out: string[] = []
  let observed = -1
  for (const { key, value, timestampMs } of records) {
    observed = Math.max(observed, timestampMs)
    for (let startMs = 0; startMs <= timestampMs; startMs += ADVANCE) {
      const endMs = startMs + SIZE
      if (timestampMs >= endMs || endMs + GRACE <= observed) continue
      const at = `${key}/${startMs}`
      const old = rows.get(at)
      const timestamp = Math.max(timestampMs, old?.timestamp ?? -1)
      const next = old === undefined ? value : longer(old.value, value)
      if (next === null) rows.delete(at)
      else rows.set(at, { value: next, timestamp })
      out.push(told({ key, startMs, endMs, value: next }, timestamp))
    }
  }
  return out
}

/** What sessions give. */
function inSessions(records: readonly Given[]): string[] {
  let rows: Row[] = []
  const out: string[] = []
  let observed = -1
  // The store's time: of what it was given to keep.
  let kept = -1
  for (const { key, value, timestampMs } of records) {
    observed = Math.max(observed, timestampMs)
    const found = rows
      .filter((row) => row.key === key && row.endMs > kept - GAP - GRACE)
      .filter(({ startMs, endMs }) => endMs >= timestampMs - GAP && startMs <= timestampMs + GAP)
      .toSorted((a, b) => a.endMs - b.endMs || a.startMs - b.startMs)
    const startMs = Math.min(timestampMs, ...found.map((row) => row.startMs))
    const endMs = Math.max(timestampMs, ...found.map((row) => row.endMs))
    if (endMs < observed - GAP - GRACE) continue
    let sum: string | null = null
    for (const next of [...found.map((row) => row.value as string), value])
      sum = sum === null ? next : longer(sum, next)
    if (startMs !== endMs)
      for (const row of found) out.push(told({ ...row, value: null }, row.endMs))
    rows = rows.filter((row) => !found.includes(row))
    if (sum !== null) {
      kept = Math.max(kept, endMs)
      if (endMs > kept - GAP - GRACE) rows.push({ key, startMs, endMs, value: sum })
    }
    out.push(told({ key, startMs, endMs, value: sum }, endMs))
  }
  return out
}

const cases = [
  {
    kind: 'windows',
    expected: inWindows,
    key: timeWindowed(text, SIZE),
    windows: hopping(SIZE, ADVANCE, { graceMs: GRACE }),
  },
  {
    kind: 'sessions',
    expected: inSessions,
    key: sessionWindowed(text),
    windows: sessions(GAP, { graceMs: GRACE }),
  },
] as const

describe('a reduction by windows', () => {
  const first = drawnSeed(1_000_000)
  test.each(cases)(
    `gives the same through stops and crashes: $kind (MILLRACE_SEED=${first})`,
    async ({ expected, key, windows }) => {
      const pipeline = topology('model', ({ stream }) => {
        const grouped = stream('in', SERDES).groupByKey()
        const rows =
          'gapMs' in windows
            ? grouped.windowedBy(windows).reduce(longer)
            : grouped.windowedBy(windows).reduce(longer)
        rows.toStream().to('out')
      })
      for (let seed = first; seed < first + RUNS; seed += 1) {
        const random = seeded(seed)
        await using driver = await topologyTestDriver(pipeline, {
          limits: { commitIntervalMs: 100 },
        })
        const input = driver.input('in', SERDES)
        const output = driver.output('out', { key, value: text })
        const records: Given[] = []
        let nowMs = 0
        for (let at = 0; at < RECORDS; at += 1) {
          nowMs += random(random(8) === 0 ? 40 : 6)
          const timestampMs = Math.max(0, nowMs - (random(3) === 0 ? random(40) : 0))
          const given = { key: KEYS[random(3)] ?? '', value: String(at % 10), timestampMs }
          records.push(given)
          await input.pipe(given.key, given.value, { timestampMs })
          if (random(6) === 0) await driver.advanceWallClock(random(120))
          if (random(12) === 0) await driver.restart(random(2) === 0 ? 'stop' : 'crash')
        }
        await driver.advanceWallClock(1_000)
        const came = (await output.readAll()).map(({ key: window, value, timestampMs }) =>
          window === null ? '' : told({ ...window, value }, timestampMs),
        )
        expect(came, `seed ${seed}`).toEqual(expected(records))
      }
    },
  )
})
