/** A process of the tests of recovery as they see it: what it said, and what is done to it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Clock } from '../../model/clock.ts'
import type { RecoveryPlace } from './recovery-pipeline.ts'
import { until } from './until.ts'

const APP = fileURLToPath(new URL('./recovery-app.ts', import.meta.url))

/** An event that a process told. */
export interface Told {
  readonly at: number
  readonly kind: string
  readonly [name: string]: unknown
}

/** A process that was started. */
export class RecoveryProcess {
  /** Everything that it has said. */
  readonly events: Told[] = []
  readonly #child: ChildProcess
  readonly #clock: Clock
  readonly #closed: Promise<unknown>
  #errors = ''

  constructor(place: RecoveryPlace, clock: Clock) {
    const child = spawn(process.execPath, [APP, JSON.stringify(place)], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, NODE_OPTIONS: '' },
    })
    this.#child = child
    this.#clock = clock
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.#errors += text))
    createInterface(child.stdout).on('line', (line) => this.events.push(JSON.parse(line) as Told))
    const endWithUs = (): void => void child.kill('SIGKILL')
    process.once('exit', endWithUs)
    this.#closed = once(child, 'close').then(() => process.off('exit', endWithUs))
  }

  /** Whether it has ended. */
  get isOver(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** What it told last, for a message. */
  get story(): string {
    const told = this.events.slice(-12).map((event) => JSON.stringify(event))
    return [...told, this.#errors].join('\n').slice(-4_000)
  }

  /** Those of a kind, from a place in `events` on. */
  told(kind: string, from = 0): readonly Told[] {
    return this.events.slice(from).filter((event) => event.kind === kind)
  }

  /** Resolves with the first event that fits, from a place in `events` on. */
  async says(what: string, fits: (event: Told) => boolean, from = 0): Promise<Told> {
    const find = (): Told | undefined => this.events.slice(from).find(fits)
    await until(
      this.#clock,
      () => `${what}:\n${this.story}`,
      async () => {
        const found = find() !== undefined
        if (!found && this.isOver) throw new Error(`it ended before ${what}:\n${this.story}`)
        return found
      },
    )
    return find() ?? this.events[0] ?? { at: 0, kind: '' }
  }

  /** Resolves when it runs tasks, told from a place in `events` on. */
  async runsTasks(from = 0): Promise<void> {
    const has = ({ kind, tasks }: Told): boolean =>
      kind === 'unit-started' && Array.isArray(tasks) && tasks.length > 0
    await this.says('it has tasks', has, from)
  }

  /** The rows of the store of counts. */
  async counts(): Promise<Readonly<Record<string, number>>> {
    const from = this.events.length
    this.#child.stdin?.write('counts\n')
    const { rows } = await this.says(
      'it has told its counts',
      ({ kind }) => kind === 'counts',
      from,
    )
    return Object.fromEntries(rows as [string, number][])
  }

  /** Keeps its event loop busy until there is such a file. */
  block(file: string): void {
    this.#child.stdin?.write(`block ${file}\n`)
  }

  /** Resolves when it has written this to standard error. */
  async complains(text: RegExp): Promise<void> {
    await until(
      this.#clock,
      () => `it complains of ${text}:\n${this.story}`,
      async () => text.test(this.#errors),
    )
  }

  halt(): void {
    this.#child.kill('SIGSTOP')
  }

  resume(): void {
    this.#child.kill('SIGCONT')
  }

  /** As kill -9 does. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#closed
  }

  /** Resolves with what it ended with, by itself. */
  async ended(): Promise<number | NodeJS.Signals | null> {
    await until(
      this.#clock,
      () => `it has ended:\n${this.story}`,
      async () => this.isOver,
    )
    await this.#closed
    return this.#child.exitCode ?? this.#child.signalCode
  }

  /** As an operator does; resolves with the exit code. */
  async stop(): Promise<number | NodeJS.Signals | null> {
    this.#child.kill('SIGTERM')
    return await this.ended()
  }
}
