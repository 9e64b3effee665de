/**
 * What every log must do, as tests that run against any of them. One case stands for one or more
 * sentences of transport/transport.ts; a log that passes all of them can carry the runtime.
 *
 * The suite needs no test runner of its own: it is given `test(title, run)`, so that it runs under
 * node:test, vitest or a loop. A case whose harness lacks what it needs (a compaction, a crash) is not
 * registered, and `transportConformance` returns the titles left out so that a caller can print or
 * refuse them.
 */
import { ADMIN_CASES } from './conformance-admin.ts'
import { CLEANING_CASES } from './conformance-cleaning.ts'
import { FENCING_CASES } from './conformance-fencing.ts'
import { GROUP_FENCING_CASES } from './conformance-group-fencing.ts'
import { GROUP_CASES } from './conformance-groups.ts'
import { OFFSET_CASES } from './conformance-offsets.ts'
import { PREFETCH_CASES } from './conformance-prefetch.ts'
import { PRODUCING_CASES } from './conformance-producing.ts'
import { READING_CASES } from './conformance-reading.ts'
import { REOPEN_CASES } from './conformance-reopen.ts'
import { TRANSACTION_CASES } from './conformance-transactions.ts'
import { World, type ConformanceCase } from './conformance-world.ts'

/** How the suite gets at a log: transport/conformance-world.ts has its fields. */
export type TransportHarness = World['harness']

/** Registers one test, as `test` of node:test and of vitest do. */
export type RegisterTest = (title: string, run: () => Promise<void>) => void

/** Cases that stay within their own topics, groups and transactional ids, and so may share a log. */
const SHARABLE_CASES: readonly ConformanceCase[] = [
  ...PRODUCING_CASES,
  ...READING_CASES,
  ...PREFETCH_CASES,
  ...TRANSACTION_CASES,
  ...FENCING_CASES,
  ...OFFSET_CASES,
  ...GROUP_CASES,
  ...GROUP_FENCING_CASES,
  ...ADMIN_CASES,
  ...CLEANING_CASES,
]

/**
 * Registers every case that the harness allows; returns the titles of those it does not.
 *
 * @example transportConformance({ clock: systemClock(), open: async () => memoryLog({ clock }) }, test)
 */
export function transportConformance(
  harness: TransportHarness,
  test: RegisterTest,
): readonly string[] {
  const all = [...SHARABLE_CASES, ...REOPEN_CASES]
  for (const one of all) {
    if (!isAllowed(one, harness)) continue
    test(one.title, async () => {
      await using log = await harness.open()
      await one.run(new World(log, harness, harness.prefix?.() ?? 'conformance'))
    })
  }
  test('all of these hold again on a log that was used before, beside its old topics', async () => {
    await using log = await harness.open()
    const prefix = harness.prefix?.() ?? ''
    for (const [index, one] of [...SHARABLE_CASES, ...SHARABLE_CASES].entries()) {
      if (one.isAlone !== true && isAllowed(one, harness)) {
        await one.run(new World(log, harness, `${prefix}run-${index}`))
      }
    }
  })
  return all.filter((one) => !isAllowed(one, harness)).map((one) => one.title)
}

function isAllowed(one: ConformanceCase, harness: TransportHarness): boolean {
  return (one.needs ?? []).every((need) => harness[need] !== undefined)
}
