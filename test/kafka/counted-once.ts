/** What an app has to come to after whatever was done to its brokers or its network. */
import { expect } from 'vitest'
import type { StreamsApp } from '../../runtime/app.ts'
import type { AppStage } from './app-stage.ts'

/** Everything that was fed was counted once within this time, and the app is still there. Closes it. */
export async function expectCountedOnce(
  stage: AppStage,
  app: StreamsApp,
  timeoutMs: number,
): Promise<void> {
  await app.caughtUp(AbortSignal.timeout(timeoutMs))
  expect(await stage.counts()).toEqual(stage.expectedCounts)
  expect(app.state).toBe('running')
  await app.close()
}
