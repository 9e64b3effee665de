/** Runs a writer of an embedded log, a program of its own, until it is killed in the middle of something. */
import { spawn } from 'node:child_process'
import { expect } from 'vitest'
import { systemClock } from '../../runtime/system-clock.ts'

/** When a writer is killed: so long after so many lines. */
export interface WriterLife {
  /** Before it has written these its time is not counted: on a busy machine its life would come to nothing. */
  readonly leastLines: number
  readonly longerMs: number
}

/** Starts `program`, which writes a line for each thing it did; returns the whole lines it wrote before its kill -9. */
export async function liveAndDie(
  program: string,
  args: readonly string[],
  { leastLines, longerMs }: WriterLife,
): Promise<string[]> {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let problems = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (problems += text))
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const [before, after] = [linesOf(out), linesOf(out + text)]
    // Its life counts from here: how long node takes to start is not the point.
    if ((out === '' || before < leastLines) && after >= leastLines) {
      systemClock().timer(longerMs, () => child.kill('SIGKILL'))
    }
    out += text
  })
  const signal = await new Promise((resolve) => {
    child.on('close', (_code, how) => resolve(how))
  })
  expect(signal, problems).toBe('SIGKILL')
  return out.split('\n').slice(0, -1)
}

function linesOf(text: string): number {
  return text.split('\n').length - 1
}
