/** Runs a program of its own, which writes a line for each thing it did, until it is killed in the middle of something. */
import { spawn } from 'node:child_process'
import { expect } from 'vitest'
import { systemClock } from '../runtime/system-clock.ts'
import { endWithTest } from './end-with-tests.ts'

/** One that never comes to its lines is killed after this: what it said until then is told. */
const SILENT_LIFE_MS = 30_000

/** When a program is killed: so long after so many lines. */
export interface KilledLife {
  /** Before it has written these its time is not counted: on a busy machine its life would come to nothing. */
  readonly leastLines: number
  readonly longerMs: number
}

/** Starts `program` with this Node; returns the whole lines it wrote before its kill -9. */
export async function liveAndDie(
  program: string,
  args: readonly string[],
  { leastLines, longerMs }: KilledLife,
): Promise<string[]> {
  const child = endWithTest(
    spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] }),
  )
  const clock = systemClock()
  let out = ''
  let problems = ''
  let isCounted = false
  let death = clock.timer(SILENT_LIFE_MS, () => {
    problems += `it wrote no ${leastLines} lines within ${SILENT_LIFE_MS} ms: ${out}`
    child.kill('SIGKILL')
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => (problems += text))
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
    // Its life counts from here: how long node takes to start is not the point.
    if (isCounted || linesOf(out) < leastLines) return
    isCounted = true
    death.cancel()
    death = clock.timer(longerMs, () => child.kill('SIGKILL'))
  })
  const signal = await new Promise((resolve) => {
    child.on('close', (_code, how) => resolve(how))
  })
  death.cancel()
  expect({ signal, isCounted }, problems).toEqual({ signal: 'SIGKILL', isCounted: true })
  return out.split('\n').slice(0, -1)
}

function linesOf(text: string): number {
  return text.split('\n').length - 1
}
