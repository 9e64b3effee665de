/** What an app has to come to after whatever was done to its brokers or its network. */
import { expect, vi } from 'vitest'
import type { StreamsApp } from '../../runtime/app.ts'
import type { AppStage } from './app-stage.ts'

/** A commit that was answered is decided; brokers may take a moment to show it. */
const SHOWN = { timeout: 10_000, interval: 20 }

/** Everything that was fed was counted once within this time, and the app is still there. Closes it. */
export async function expectCountedOnce(
  stage: AppStage,
  app: StreamsApp,
  timeoutMs: number,
): Promise<void> {
  await app.caughtUp(AbortSignal.timeout(timeoutMs))
  await vi.waitFor(async () => {
    expect(await stage.counts()).toEqual(stage.expectedCounts)
  }, SHOWN)
  expect(app.state).toBe('running')
  await app.close()
}
