/** A process of the benchmark of restarts, as that sees it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { sleep, type Clock } from '../../model/clock.ts'
import { profileFlags } from './profile.ts'
import type { RestorePlace } from './restore-shape.ts'

const APP = fileURLToPath(new URL('restore-app.ts', import.meta.url))
const LOOK_AGAIN_MS = 5

/** What a process told, and when, by the machine's time. */
export interface Told {
  readonly at: number
  /** Processor time that it had used, of all its threads. */
  readonly cpuMs: number
  readonly kind: string
  readonly restored?: number
  readonly remaining?: number
  readonly tasks?: readonly string[]
}

/** One process. */
export class RestoreProcess {
  readonly events: Told[] = []
  readonly startedAtMs: number
  readonly #child: ChildProcess
  readonly #clock: Clock
  readonly #closed: Promise<unknown>

  constructor(place: RestorePlace, clock: Clock) {
    this.startedAtMs = clock.now()
    this.#clock = clock
    this.#child = spawn(process.execPath, [...profileFlags(), APP, JSON.stringify(place)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    if (this.#child.stdout === null) throw new TypeError('no standard output')
    createInterface(this.#child.stdout).on('line', (line) =>
      this.events.push(JSON.parse(line) as Told),
    )
    this.#closed = once(this.#child, 'close')
  }

  /** Resolves with the first event that fits, from a place in `events` on; rejects where the process ends before. */
  async says(fits: (event: Told) => boolean, from = 0): Promise<Told> {
    for (;;) {
      const found = this.events.slice(from).find(fits)
      if (found !== undefined) return found
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
        throw new Error(`a process ended early: ${JSON.stringify(this.events.slice(-5))}`)
      }
      await sleep(this.#clock, LOOK_AGAIN_MS)
    }
  }

  /** Resolves when it runs its task, told from a place in `events` on. */
  async runs(from = 0): Promise<Told> {
    return await this.says(
      ({ kind, tasks }) => kind === 'unit-started' && (tasks ?? []).length > 0,
      from,
    )
  }

  /** Records that were restored, told from a place in `events` on: each restore tells its own at its end. */
  restored(from = 0): number {
    return this.events
      .slice(from)
      .filter(({ kind, remaining }) => kind === 'restoring' && remaining === 0)
      .reduce((sum, { restored }) => sum + (restored ?? 0), 0)
  }

  /** Writes when it did what, where that was asked for: milliseconds since a moment, and of processor time. */
  tellStory(of: {
    readonly from: number
    readonly sinceMs: number
    readonly outputMs: number
  }): void {
    if (process.env['MILLRACE_BENCH_STORY'] === undefined) return
    const told = this.events.slice(of.from)
    const lines = told
      // Of a restore its beginning and its end.
      .filter(
        ({ kind }, i) =>
          kind !== 'restoring' || told[i - 1]?.kind !== kind || told[i + 1]?.kind !== kind,
      )
      .map(({ kind, at, cpuMs }) => `${kind} ${at - of.sinceMs} (${cpuMs.toFixed(0)})`)
    process.stderr.write(`${lines.join(', ')}, output ${of.outputMs - of.sinceMs}\n`)
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#closed
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM')
    await this.#closed
  }
}
