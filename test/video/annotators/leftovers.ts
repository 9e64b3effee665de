/** What a test must not leave behind. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'

const LIMIT_MS = 5_000

/** Child processes and connections of this process. */
export function openResources(): string[] {
  return process
    .getActiveResourcesInfo()
    .filter((name) => ['ProcessWrap', 'TCPSocketWrap', 'TCPServerWrap'].includes(name))
    .sort()
}

/** Waits until no more of them are there than `before`; the kernel takes a moment to say that they are gone. */
export async function expectNothingLeft(before: readonly string[] = []): Promise<void> {
  const deadline = Date.now() + LIMIT_MS
  while (openResources().length > before.length && Date.now() < deadline) await sleep(5)
  expect(openResources()).toEqual(before)
}

/** Collects what would have ended the process, while `run` runs. */
export async function unhandledDuring(run: () => Promise<void>): Promise<unknown[]> {
  const unhandled: unknown[] = []
  const keep = (error: unknown): void => void unhandled.push(error)
  const others = {
    uncaughtException: process.listeners('uncaughtException'),
    unhandledRejection: process.listeners('unhandledRejection'),
  }
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.removeAllListeners(event)
    process.on(event, keep)
  }
  try {
    await run()
    await sleep(20)
  } finally {
    for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
      process.removeListener(event, keep)
      for (const listener of others[event]) process.on(event, listener as () => void)
    }
  }
  return unhandled
}
