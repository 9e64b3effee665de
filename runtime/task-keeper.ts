/**
 * Brings what runs into line with the unit's share. It compares the two and takes one step at a
 * time: first tasks that are not the unit's any more are committed and let go, then those that are
 * missing are started, all together, while the others go on. What changes meanwhile is met at the
 * next comparison, so no order of assignments, revocations and failures needs a case of its own.
 *
 * A start may have to restore for minutes, and only those wait for it that must. A revocation is
 * answered at once where it takes neither a running task nor one on its way. Tasks whose state is
 * here as a copy start before those without; where one comes while others are restored, that start
 * is called off, and goes on from what it has written to disk. Starts beside each other were
 * rejected: each of them fences, commits and opens databases.
 */
import { eitherSignal } from '../model/either-signal.ts'
import { asError } from '../model/errors.ts'
import { untilAborted } from '../model/until-aborted.ts'
import { describeTask, type TaskId } from './assignment.ts'
import { ACCEPTABLE_LAG } from './group-assignor.ts'
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
  readonly standbys: Pick<Standbys, 'want' | 'giveUp' | 'lagOf'>
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

/** Tasks on their way, and what calls them off. */
interface Starting {
  readonly tasks: readonly TaskId[]
  /** Whether all of them had a copy here. */
  readonly areReady: boolean
  readonly calledOff: AbortController
}

/** The tasks of one run of a unit. */
export class TaskKeeper {
  readonly #parts: TaskKeeperParts
  readonly #running = new Map<string, OpenTask>()
  readonly #wakeup = new Wakeup()
  #starting: Starting | undefined
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
    this.#isSettled = false
    if (this.#starting !== undefined) this.#changedDuring(this.#starting)
    this.#wakeup.ring()
  }

  /** Resolves when nothing runs, or is on its way, that the share does not name. */
  async trimmed(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting.push(resolve)
    this.changed()
    await promise
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

  /** What a start has written to its databases stays there, so one that is called off and begun again loses little. */
  #changedDuring({ tasks, areReady, calledOff }: Starting): void {
    const held = [...tasks, ...this.#runningIds()]
    if (!held.every((taskId) => this.#isOurs(taskId))) {
      calledOff.abort(CALLED_OFF)
      return
    }
    this.answer()
    const names = new Set(held.map(describeTask))
    const isNew = (taskId: TaskId): boolean => !names.has(describeTask(taskId))
    const active = this.#parts.share.active ?? []
    const isReadyOneWaiting = active.some((taskId) => isNew(taskId) && this.#isReady(taskId))
    if (isReadyOneWaiting && !areReady) calledOff.abort(CALLED_OFF)
  }

  async #step(stop: AbortSignal): Promise<void> {
    const excess = [...this.#running.values()].filter(({ task }) => !this.#isOurs(task.taskId))
    if (excess.length > 0) return await this.#release(excess)
    this.answer()
    const { active } = this.#parts.share
    const missing = (active ?? []).filter((taskId) => !this.#running.has(describeTask(taskId)))
    const ready = missing.filter((taskId) => this.#isReady(taskId))
    const areReady = ready.length > 0
    if (missing.length > 0) return await this.#start(areReady ? ready : missing, areReady, stop)
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

  async #start(taskIds: readonly TaskId[], areReady: boolean, stop: AbortSignal): Promise<void> {
    const calledOff = new AbortController()
    this.#starting = { tasks: taskIds, areReady, calledOff }
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

  /** Whether a copy of its state is here that the assignor counts as up to date. */
  #isReady(taskId: TaskId): boolean {
    return (this.#parts.standbys.lagOf(describeTask(taskId)) ?? Infinity) <= ACCEPTABLE_LAG
  }

  #runningIds(): readonly TaskId[] {
    return [...this.#running.values()].map(({ task }) => task.taskId)
  }

  #isOurs(taskId: TaskId): boolean {
    const name = describeTask(taskId)
    return (this.#parts.share.active ?? []).some((own) => describeTask(own) === name)
  }
}
