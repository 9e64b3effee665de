/** What the programs that tests start as processes have in common: they tell in lines of JSON, and run an app until SIGTERM. */
import type { StreamsApp } from '../runtime/app.ts'

/** One event as a line of JSON, errors with their fields and causes. */
export function eventLine(event: Readonly<Record<string, unknown>>): string {
  return `${JSON.stringify(event, withErrors)}\n`
}

/** Runs an app to its end. What it failed of is told, and is this process's exit code 1. */
export async function runTold(
  app: StreamsApp,
  say: (event: Readonly<Record<string, unknown>>) => void,
): Promise<void> {
  process.once('SIGTERM', () => void app.close().catch(() => {}))
  try {
    // What it failed of is told by its end, whenever that was.
    await app.start().catch(() => {})
    await app.closed
  } catch (error) {
    say({ kind: 'failed', error })
    process.exitCode = 1
  }
  process.stdin.destroy()
}

/** An error is nothing to JSON. */
function withErrors(_name: string, part: unknown): unknown {
  if (!(part instanceof Error)) return part
  const { message, stack, cause, ...rest } = part
  return { ...rest, message, stack, ...(cause === undefined ? {} : { cause }) }
}
