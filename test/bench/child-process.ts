/** Runs one half of one variant in a process of its own. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { ChildAnswer, ChildTask } from './child.ts'
import { emptyFolder, PROFILE_VARIABLE, profileFlags, profilePath } from './profile.ts'

const CHILD = fileURLToPath(new URL('child.ts', import.meta.url))

/** How a child is run. */
export interface ChildLimits {
  /** A child that takes longer is killed. */
  readonly deadlineMs: number
  /** A folder for profiles of the processor's time, one a variant; none where it is left out. */
  readonly profileFolder?: string | undefined
}

/** Resolves with the child's answer; rejects where it failed or took too long. */
export async function runChild(task: ChildTask, limits: ChildLimits): Promise<ChildAnswer> {
  const { profileFolder: folder, deadlineMs } = limits
  const profiled =
    folder === undefined || task.half === 'prepare'
      ? undefined
      : emptyFolder(profilePath(folder, task.benchCase, task.variant))
  const environment = profiled === undefined ? {} : { [PROFILE_VARIABLE]: profiled }
  const child = fork(CHILD, [], {
    execArgv: [...process.execArgv, ...profileFlags(profiled)],
    env: { ...process.env, ...environment },
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
