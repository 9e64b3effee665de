/** Runs one half of one variant in a process of its own. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { ChildAnswer, ChildTask } from './child.ts'

const CHILD = fileURLToPath(new URL('child.ts', import.meta.url))

/** How a child is run. */
export interface ChildLimits {
  /** A child that takes longer is killed. */
  readonly deadlineMs: number
  /** A folder for a profile of the processor's time of each child; none where it is left out. */
  readonly profileFolder?: string | undefined
}

/** Resolves with the child's answer; rejects where it failed or took too long. */
export async function runChild(task: ChildTask, limits: ChildLimits): Promise<ChildAnswer> {
  const { profileFolder: folder, deadlineMs } = limits
  const name = `${task.benchCase} ${task.variant}`.replaceAll(/[^a-z0-9]+/gi, '-')
  const profile =
    folder === undefined || task.half === 'prepare'
      ? []
      : ['--cpu-prof', `--cpu-prof-dir=${folder}`, `--cpu-prof-name=${name}.cpuprofile`]
  const child = fork(CHILD, [], {
    execArgv: [...process.execArgv, ...profile],
    timeout: deadlineMs,
    killSignal: 'SIGKILL',
  })
  const what = `${task.half} of ${task.benchCase}, ${task.variant}`
  return await new Promise((resolve, reject) => {
    let answer: ChildAnswer | undefined
    child.once('message', (message: ChildAnswer) => (answer = message))
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      if (code === 0 && answer !== undefined) resolve(answer)
      else if (signal === 'SIGKILL') reject(new Error(`${what} took over ${deadlineMs} ms`))
      else reject(new Error(`${what} ended with ${code ?? signal}`))
    })
    child.send(task)
  })
}
