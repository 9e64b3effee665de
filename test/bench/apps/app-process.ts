/** A process of the application, as the benchmark sees it: what it says, and what it costs. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { sleep, type Clock } from '../../../model/clock.ts'
import { profileFlags } from '../profile.ts'

const APP = fileURLToPath(new URL('streams-app.ts', import.meta.url))
const LOOK_AGAIN_MS = 10
/** The kernel counts processor time in hundredths of a second. */
const TICKS_A_SECOND = 100
/** Where user and system time stand in /proc/PID/stat, counted behind the program's name. */
const [USER_FIELD, SYSTEM_FIELD] = [11, 12]

/** Processor time and memory of a process since it began; undefined where the kernel does not tell. */
export interface ProcessCost {
  readonly cpuSeconds: number
  readonly peakBytes: number
}

/** One process. */
export class AppProcess implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #clock: Clock
  readonly #closed: Promise<unknown>
  readonly #lines: string[] = []
  #tasks: readonly string[] = []
  #isRunning = false

  constructor(options: readonly string[], clock: Clock) {
    this.#clock = clock
    const condition = '--conditions=millrace-source'
    this.#child = spawn(process.execPath, [...profileFlags(), condition, APP, ...options], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.#closed = once(this.#child, 'close')
    if (this.#child.stdout === null) throw new TypeError('no standard output')
    createInterface(this.#child.stdout).on('line', (line) => this.#hear(line))
  }

  /** The tasks that it runs now. */
  get tasks(): readonly string[] {
    return this.#isRunning ? this.#tasks : []
  }

  /** Resolves when it runs some tasks and `isEnough` says that all is as it should be. */
  async runs(isEnough: () => boolean = () => true): Promise<void> {
    while (this.tasks.length === 0 || !isEnough()) {
      this.assertAlive()
      await sleep(this.#clock, LOOK_AGAIN_MS)
    }
  }

  /** Throws, with its last words, where it has ended. */
  assertAlive(): void {
    const { exitCode, signalCode } = this.#child
    if (exitCode === null && signalCode === null) return
    throw new Error(`the application ended early:\n${this.#lines.slice(-10).join('\n')}`)
  }

  /** What it has cost so far. Linux only; zeros elsewhere. */
  cost(): ProcessCost {
    try {
      const proc = `/proc/${this.#child.pid ?? 0}`
      const stat = readFileSync(`${proc}/stat`, 'latin1')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      const ticks = Number(fields[USER_FIELD]) + Number(fields[SYSTEM_FIELD])
      const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`${proc}/status`, 'latin1'))?.[1]
      return { cpuSeconds: ticks / TICKS_A_SECOND, peakBytes: Number(peak) * 1024 }
    } catch {
      return { cpuSeconds: 0, peakBytes: 0 }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // One that is killed writes no profile.
    this.#child.kill(profileFlags().length === 0 ? 'SIGKILL' : 'SIGTERM')
    await this.#closed
  }

  #hear(line: string): void {
    this.#lines.push(line)
    const [, name, , text = ''] = line.split(' ')
    if (name === 'tasks') this.#tasks = text.split(',').filter((task) => task !== '')
    if (name === 'state') this.#isRunning = text === 'RUNNING'
  }
}
