/** What the test files of the simulation share: which seeds they run, and how they say that one failed. */
import { expect } from 'vitest'
import type { Guarantee } from '../../runtime/config.ts'
import { hunt } from './hunt.ts'
import { describeShrunk, shrink } from './shrink.ts'

/** Another start than 1 can be tried with MILLRACE_SIMULATE_FROM. */
export const FROM = Number(process.env['MILLRACE_SIMULATE_FROM'] ?? 1)

/** More than a minute only where the machine is very busy. */
export const TIMEOUT_MS = 600_000

/** Fails with the first seed that does not hold, shrunk. */
export async function expectSeeds(
  seeds: { readonly from: number; readonly count: number },
  guarantee: Guarantee,
): Promise<void> {
  const failed = await hunt(seeds, { guarantee })
  if (failed === undefined) return
  expect.fail(describeShrunk(await shrink(failed, { guarantee }), guarantee))
}
