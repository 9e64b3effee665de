/** A process of the group as the chaos test sees it: what it said, and what is done to it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { sleep, type Clock } from '../../model/clock.ts'
import type { Place } from './place.ts'

const APP = fileURLToPath(new URL('./app.ts', import.meta.url))
/** Longer than an app takes to stop within its own deadline. */
const STOP_DEADLINE_MS = 45_000

/** How soon a process is started again that ended by itself. */
const AGAIN_MS = 1_000

/** In the event of a process that has tasks. */
const HAS_TASKS = '"tasks":["'

/** What a process is started with. */
export interface ProcessParts {
  readonly name: string
  readonly place: Place
  readonly clock: Clock
  /** Told where a process ended though nobody ended it, or did not end when it was asked to. */
  readonly onProblem: (problem: string) => void
}

/** One of the places in the group, with one process after another in it. */
export class ChaosProcess {
  readonly name: string
  readonly #parts: ProcessParts
  readonly #file: WriteStream
  #child: ChildProcess | undefined
  #exited: Promise<unknown> = Promise.resolve()
  #isWorking = false
  #working = 0
  #errors = ''

  constructor(parts: ProcessParts) {
    this.name = parts.name
    this.#parts = parts
    this.#file = createWriteStream(join(parts.place.folder, `${parts.name}.log`), { flags: 'a' })
  }

  /** How many processes there were that came to have tasks. */
  get working(): number {
    return this.#working
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  start(): void {
    const { place, clock } = this.#parts
    const child = spawn(process.execPath, [APP, JSON.stringify(place)], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { NODE_COMPILE_CACHE: join(place.folder, 'compiled'), ...process.env },
    })
    this.#file.write(`${clock.now()} started as ${child.pid}\n`)
    this.#child = child
    this.#isWorking = false
    this.#errors = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text
      this.#file.write(text)
    })
    createInterface(child.stdout).on('line', (line) => {
      this.#file.write(`${line}\n`)
      // It goes to the same place as what is written to stderr: both say why a process ended.
      if (line.includes('"kind":"failed"')) this.#errors += `${line}\n`
      if (line.includes(HAS_TASKS) && !this.#isWorking) {
        this.#isWorking = true
        this.#working += 1
      }
    })
    const endWithUs = (): void => void child.kill('SIGKILL')
    process.once('exit', endWithUs)
    this.#exited = once(child, 'close').then(() => {
      process.off('exit', endWithUs)
      const how = child.exitCode ?? child.signalCode ?? 'nothing'
      this.#file.write(`${clock.now()} ended: ${how}\n`)
      if (this.#child === child) this.#endedByItself(how)
    })
  }

  /** Resolves when the process has tasks, or a while has passed. */
  async runs(deadlineMs: number): Promise<void> {
    const { clock } = this.#parts
    const deadline = clock.monotonic() + deadlineMs
    while (!this.#isWorking && clock.monotonic() < deadline) await sleep(clock, 20)
  }

  /** As kill -9 does. */
  async kill(): Promise<void> {
    this.#take()?.kill('SIGKILL')
    await this.#exited
  }

  halt(): void {
    this.#child?.kill('SIGSTOP')
  }

  resume(): void {
    this.#child?.kill('SIGCONT')
  }

  /** As an operator does. Who does not end in time is killed, and that is a problem. */
  async stop(): Promise<void> {
    const { clock, onProblem } = this.#parts
    const child = this.#take()
    if (child === undefined) return
    const late = clock.timer(STOP_DEADLINE_MS, () => {
      onProblem(`${this.name} did not stop within ${STOP_DEADLINE_MS} ms`)
      child.kill('SIGKILL')
    })
    child.kill('SIGTERM')
    await this.#exited
    late.cancel()
    // Without a broker nothing can be committed: to end at the deadline is all that is promised then.
    const isLate = this.#errors.includes('MILLRACE_CLOSE_DEADLINE')
    if (child.exitCode !== null && child.exitCode !== 0 && !isLate) {
      onProblem(`${this.name} stopped with ${child.exitCode}: ${this.#errors.slice(-2_000)}`)
    }
  }

  /** The process, which is expected to end from now on. */
  #take(): ChildProcess | undefined {
    const child = this.#child
    this.#child = undefined
    return child
  }

  #endedByItself(how: string | number): void {
    const { onProblem, clock } = this.#parts
    onProblem(`${this.name} ended by itself with ${how}: ${this.#errors.slice(-2_000)}`)
    const ended = this.#child
    clock.timer(AGAIN_MS, () => {
      if (this.#child === ended) this.start()
    })
  }
}
