/**
 * Copies of other processes' state: the stores of a standby task follow their changelogs here, so
 * that this process takes the task over without a restore when its owner is gone. What follows is
 * committed state only (the end that is read to is the last stable offset), and never beyond what the
 * owner has processed, where a table mirrors its source topic.
 *
 * It looks for something new by the clock: all copies ask for the ends of their changelogs in one
 * request; only one that mirrors a source topic asks for the owner's offsets as well.
 */
import { sleep } from '../model/clock.ts'
import { asError, isMillraceError } from '../model/errors.ts'
import type { Offset } from '../model/position.ts'
import type { TaskState } from '../state/layers.ts'
import type { CommittedOffset, Transport } from '../transport/transport.ts'
import { describeTask, type TaskId } from './assignment.ts'
import type { AppServices } from './services.ts'
import { TaskRestore } from './task-restore.ts'

/** The state of a standby task, open. */
export interface OpenCopy extends AsyncDisposable {
  readonly taskId: TaskId
  readonly state: TaskState
}

/** What copies are made of. */
export interface StandbysParts {
  readonly groupId: string
  readonly transport: Transport
  readonly services: AppServices
  readonly open: (taskId: TaskId) => Promise<OpenCopy>
}

interface Copy {
  readonly open: OpenCopy
  readonly restore: TaskRestore
  /** Offsets that it was behind when it was last looked; undefined before the first time. */
  lag: number | undefined
}

/** The standby tasks of one run of a unit. */
export class Standbys {
  readonly #parts: StandbysParts
  readonly #copies = new Map<string, Copy>()
  #wanted: readonly TaskId[] = []
  /** Opening, following and closing come one after the other. */
  #turn: Promise<void> = Promise.resolve()

  constructor(parts: StandbysParts) {
    this.#parts = parts
  }

  /** How far a copy is behind; undefined where there is none, or nobody has looked yet. */
  lagOf(task: string): number | undefined {
    return this.#copies.get(task)?.lag
  }

  /** Which copies are to be here; `run` opens and closes them. */
  want(tasks: readonly TaskId[]): void {
    this.#wanted = tasks
  }

  /** Closes the copies of tasks that are about to run here. */
  async giveUp(tasks: readonly TaskId[]): Promise<void> {
    const names = new Set(tasks.map(describeTask))
    this.#wanted = this.#wanted.filter((task) => !names.has(describeTask(task)))
    await this.#next(async () => await this.#close((name) => names.has(name)))
  }

  /** Follows until the signal aborts. Rejects with what no waiting mends. */
  async run(stop: AbortSignal): Promise<void> {
    const { clock, limits } = this.#parts.services
    while (!stop.aborted) {
      await this.#next(async () => await this.#follow(stop))
      await sleep(clock, limits.standbyIntervalMs, stop).catch(() => {})
    }
  }

  /** Closes all copies. */
  async end(): Promise<void> {
    this.#wanted = []
    await this.#next(async () => await this.#close(() => true))
  }

  async #next(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {})
    await turn
  }

  async #follow(stop: AbortSignal): Promise<void> {
    const wanted = new Set(this.#wanted.map(describeTask))
    await this.#close((name) => !wanted.has(name))
    for (const taskId of this.#wanted) await this.#open(taskId)
    if (this.#copies.size === 0) return
    try {
      await this.#catchUp(stop)
    } catch (error) {
      // A log that does not answer now is asked again; a stop is not a failure.
      const isPassing = isMillraceError(error) && error.remedy === 'retry'
      if (!isPassing && !stop.aborted) throw asError(error)
    }
  }

  async #catchUp(stop: AbortSignal): Promise<void> {
    const { admin } = this.#parts.transport
    const copies = [...this.#copies.values()]
    const changelogs = copies.flatMap(({ restore }) => restore.changelogs)
    const allEnds = await admin.offsets(changelogs, 'latest', 'read_committed')
    let next = 0
    for (const copy of copies) {
      const changelogEnds = allEnds.slice(next, (next += copy.restore.changelogs.length))
      const starts = await this.#committed(copy)
      if (starts === undefined) continue
      const ends = copy.restore.ends(starts, changelogEnds)
      copy.lag = behind(copy, ends)
      if (copy.lag > 0) await copy.restore.run({ ends, signal: stop })
      copy.lag = 0
    }
  }

  /** Committed offsets of the source topics that a copy mirrors; undefined while they are not known. */
  async #committed({ restore }: Copy): Promise<readonly CommittedOffset[] | undefined> {
    const { mirrored } = restore
    if (mirrored.length === 0) return []
    try {
      const { groupId, transport } = this.#parts
      const committed = await transport.admin.committedOffsets(groupId, mirrored)
      return committed.flatMap((offset) => (offset === undefined ? [] : [offset]))
    } catch (error) {
      if (isMillraceError(error, 'MILLRACE_OFFSETS_PENDING')) return undefined
      throw asError(error)
    }
  }

  async #open(taskId: TaskId): Promise<void> {
    const name = describeTask(taskId)
    if (this.#copies.has(name)) return
    const open = await this.#parts.open(taskId)
    const { transport, services } = this.#parts
    const restore = new TaskRestore({ taskId, state: open.state, transport, services })
    this.#copies.set(name, { open, restore, lag: undefined })
  }

  async #close(isOver: (name: string) => boolean): Promise<void> {
    await using resources = new AsyncDisposableStack()
    for (const [name, { open }] of this.#copies) {
      if (!isOver(name)) continue
      this.#copies.delete(name)
      resources.use(open)
    }
  }
}

function behind({ open }: Copy, ends: ReadonlyMap<string, Offset>): number {
  let lag = 0
  for (const [store, end] of ends) {
    lag += Math.max(0, end - (open.state.checkpoint(store)?.offset ?? 0))
  }
  return lag
}
