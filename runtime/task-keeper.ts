/**
 * Brings what runs into line with the unit's share. It compares the two and takes one step at a
 * time: first tasks that are not the unit's any more are committed and let go, then those that are
 * missing are started, all together, while the others go on. What changes meanwhile is met at the
 * next comparison, so no order of assignments, revocations and failures needs a case of its own.
 */
import { eitherSignal } from '../model/either-signal.ts'
import { asError } from '../model/errors.ts'
import { untilAborted } from '../model/until-aborted.ts'
import { describeTask, type TaskId } from './assignment.ts'
import type { Share } from './share.ts'
import type { Standbys } from './standbys.ts'
import type { StartOffset, UnitTask } from './unit-task.ts'
import type { UnitLoop } from './unit-loop.ts'
import { Wakeup } from './wakeup.ts'

/** A task with what it holds open. */
export interface OpenTask extends AsyncDisposable {
  readonly task: UnitTask
}

/** What a keeper is made of. */
export interface TaskKeeperParts {
  readonly share: Pick<Share, 'active' | 'standby'>
  readonly loop: Pick<UnitLoop, 'release' | 'add'>
  readonly standbys: Pick<Standbys, 'want' | 'giveUp'>
  readonly open: (taskId: TaskId) => Promise<OpenTask>
  /** Takes tasks through the steps of runtime/start.ts. */
  readonly start: (
    tasks: readonly UnitTask[],
    signal: AbortSignal,
  ) => Promise<readonly StartOffset[]>
  /** What runs is what the share says. */
  readonly onSettled: (tasks: readonly UnitTask[]) => void
}

const CALLED_OFF = new Error('the tasks of this unit have changed')

/** The tasks of one run of a unit. */
export class TaskKeeper {
  readonly #parts: TaskKeeperParts
  readonly #running = new Map<string, OpenTask>()
  readonly #wakeup = new Wakeup()
  /** Tasks on their way, and what calls them off. */
  #starting: { readonly tasks: readonly TaskId[]; readonly calledOff: AbortController } | undefined
  readonly #waiting: (() => void)[] = []
  #isSettled = false

  constructor(parts: TaskKeeperParts) {
    this.#parts = parts
  }

  /** Whether what runs is what the share says. */
  get isSettled(): boolean {
    return this.#isSettled
  }

  /** The share has changed. */
  changed(): void {
    const starting = this.#starting
    const wanted = [...(starting?.tasks ?? []), ...this.#runningIds()]
    // What a start has written to its databases stays there: it is begun again after the others were let go.
    if (!wanted.every((taskId) => this.#isOurs(taskId))) starting?.calledOff.abort(CALLED_OFF)
    this.#isSettled = false
    this.#wakeup.ring()
  }

  /** Resolves when nothing runs, or is on its way, that the share does not name. */
  async trimmed(): Promise<void> {
    this.changed()
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve)
      this.#wakeup.ring()
    })
  }

  /** Compares and steps until the signal aborts. Rejects with what a start failed of. */
  async run(stop: AbortSignal): Promise<void> {
    const ring = (): void => this.#wakeup.ring()
    stop.addEventListener('abort', ring, { once: true })
    try {
      while (!stop.aborted) await this.#step(stop)
    } finally {
      stop.removeEventListener('abort', ring)
    }
  }

  /** Ends all tasks, the last one first; nothing is committed. */
  async end(): Promise<void> {
    await using resources = new AsyncDisposableStack()
    for (const open of this.#running.values()) resources.use(open)
    this.#running.clear()
  }

  /** Nothing runs any more: whoever waits for that need not wait longer. */
  answer(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  async #step(stop: AbortSignal): Promise<void> {
    const excess = [...this.#running.values()].filter(({ task }) => !this.#isOurs(task.taskId))
    if (excess.length > 0) return await this.#release(excess)
    this.answer()
    const { active } = this.#parts.share
    const missing = (active ?? []).filter((taskId) => !this.#running.has(describeTask(taskId)))
    if (missing.length > 0) return await this.#start(missing, stop)
    this.#parts.standbys.want(this.#parts.share.standby)
    if (active !== undefined && !this.#isSettled) {
      this.#isSettled = true
      this.#parts.onSettled([...this.#running.values()].map(({ task }) => task))
    }
    await this.#wakeup.wait()
  }

  async #release(excess: readonly OpenTask[]): Promise<void> {
    await this.#parts.loop.release(excess.map(({ task }) => task))
    await using resources = new AsyncDisposableStack()
    for (const open of excess) {
      this.#running.delete(describeTask(open.task.taskId))
      resources.use(open)
      await open.task.state.flush()
    }
  }

  async #start(taskIds: readonly TaskId[], stop: AbortSignal): Promise<void> {
    const calledOff = new AbortController()
    this.#starting = { tasks: taskIds, calledOff }
    using either = eitherSignal(stop, calledOff.signal)
    const { signal } = either
    try {
      // Nothing is open yet: a copy that takes long to close need not keep a revocation waiting.
      await untilAborted(this.#parts.standbys.giveUp(taskIds), signal)
      await using opened = new AsyncDisposableStack()
      const open: OpenTask[] = []
      for (const taskId of taskIds) open.push(opened.use(await this.#parts.open(taskId)))
      const tasks = open.map(({ task }) => task)
      // Not raced against the signal: a start that was called off must be over before others begin.
      const starts = await this.#parts.start(tasks, signal)
      if (!(await this.#parts.loop.add(tasks, { starts, signal }))) return
      for (const started of open) this.#running.set(describeTask(started.task.taskId), started)
      opened.move()
    } catch (error) {
      if (!signal.aborted) throw asError(error)
    } finally {
      this.#starting = undefined
    }
  }

  #runningIds(): readonly TaskId[] {
    return [...this.#running.values()].map(({ task }) => task.taskId)
  }

  #isOurs(taskId: TaskId): boolean {
    const name = describeTask(taskId)
    return (this.#parts.share.active ?? []).some((own) => describeTask(own) === name)
  }
}
