/**
 * Copies of other processes' state: the stores of a standby task follow their changelogs here, so
 * that this process takes the task over without a restore when its owner is gone. What follows is
 * committed state only (the end that is read to is the last stable offset), and never beyond what the
 * owner has processed, where a table mirrors its source topic.
 *
 * It looks for something new by the clock: all copies ask for the ends of their changelogs in one
 * request; only one that mirrors a source topic asks for the owner's offsets as well.
 *
 * A task that is to run here waits for nothing but the end of its own copy. A copy goes on where it
 * was, so whatever is being followed is called off for that; and a copy counts as here until its
 * database is closed, so that nobody opens it a second time.
 */
import { sleep } from '../model/clock.ts'
import { eitherSignal } from '../model/either-signal.ts'
import { asError, isMillraceError } from '../model/errors.ts'
import type { Offset } from '../model/position.ts'
import { untilAborted } from '../model/until-aborted.ts'
import { isStampDue } from '../state/checkpoint.ts'
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
  readonly services: Pick<AppServices, 'open' | 'clock' | 'limits' | 'onEvent'>
  readonly open: (taskId: TaskId) => Promise<OpenCopy>
}

interface Copy {
  readonly open: OpenCopy
  readonly restore: TaskRestore
  /** Offsets that it was behind when it was last looked; undefined before the first time. */
  lag: number | undefined
}

const CALLED_OFF = new Error('the standby tasks of this unit have changed')

/** The standby tasks of one run of a unit. */
export class Standbys {
  readonly #parts: StandbysParts
  readonly #copies = new Map<string, Copy>()
  /** Tasks whose databases are open here, or being opened or closed. */
  readonly #here = new Set<string>()
  #wanted: readonly TaskId[] = []
  /** Calls off the following that is under way, or queued. */
  #following: AbortController | undefined
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
    const wanted = new Set(tasks.map(describeTask))
    const isAnyOver = this.#copies.keys().some((name) => !wanted.has(name))
    if (isAnyOver) this.#following?.abort(CALLED_OFF)
  }

  /** Closes the copies of tasks that are about to run here; resolves when none of them is open any more. */
  async giveUp(tasks: readonly TaskId[]): Promise<void> {
    const names = new Set(tasks.map(describeTask))
    this.#wanted = this.#wanted.filter((task) => !names.has(describeTask(task)))
    if (!names.values().some((name) => this.#here.has(name))) return
    this.#following?.abort(CALLED_OFF)
    await this.#next(async () => await this.#close((name) => names.has(name)))
  }

  /** Follows until the signal aborts. Rejects with what no waiting mends. */
  async run(stop: AbortSignal): Promise<void> {
    const { clock, limits } = this.#parts.services
    while (!stop.aborted) {
      // Made before its turn comes: who calls it off by then must not wait for it either.
      const following = new AbortController()
      this.#following = following
      using either = eitherSignal(stop, following.signal)
      await this.#next(async () => await this.#follow(either.signal))
      await sleep(clock, limits.standbyIntervalMs, stop).catch(() => {})
    }
  }

  /** Closes all copies. */
  async end(): Promise<void> {
    this.#wanted = []
    this.#following?.abort(CALLED_OFF)
    await this.#next(async () => await this.#close(() => true))
  }

  async #next(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => {})
    await turn
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const wanted = new Set(this.#wanted.map(describeTask))
    await this.#close((name) => !wanted.has(name))
    // Looked for anew each time: what was given up meanwhile may be open elsewhere by now.
    const missing = () => this.#wanted.find((task) => !this.#copies.has(describeTask(task)))
    for (let task = missing(); task !== undefined; task = missing()) {
      if (signal.aborted) return
      await this.#open(task)
    }
    if (this.#copies.size === 0) return
    try {
      signal.throwIfAborted()
      await this.#catchUp(signal)
    } catch (error) {
      // A log that does not answer now is asked again; a stop is not a failure.
      const isPassing = isMillraceError(error) && error.remedy === 'retry'
      if (!isPassing && !signal.aborted) throw asError(error)
    }
  }

  async #catchUp(signal: AbortSignal): Promise<void> {
    const { admin } = this.#parts.transport
    const copies = [...this.#copies.values()]
    const changelogs = copies.flatMap(({ restore }) => restore.changelogs)
    const asked = admin.offsets(changelogs, 'latest', 'read_committed')
    const allEnds = await untilAborted(asked, signal)
    const late: { readonly copy: Copy; readonly ends: ReadonlyMap<string, Offset> }[] = []
    let next = 0
    for (const copy of copies) {
      const changelogEnds = allEnds.slice(next, (next += copy.restore.changelogs.length))
      const starts = await this.#committed(copy, signal)
      if (starts === undefined) continue
      const ends = copy.restore.ends(starts, changelogEnds)
      copy.lag = behind(copy, ends)
      if (copy.lag > 0) late.push({ copy, ends })
      // Before any that takes long: an end is good for a stamp only while it is new.
      else if (this.#isStampDue(copy, ends)) await copy.restore.run({ ends, signal })
    }
    for (const { copy, ends } of late) {
      await copy.restore.run({ ends, signal })
      copy.lag = 0
    }
  }

  /** Whether a copy that stands at the end was written so long ago that it must show that it still holds: deletions leave the log. */
  #isStampDue({ open }: Copy, ends: ReadonlyMap<string, Offset>): boolean {
    const nowMs = this.#parts.services.clock.now()
    let isDue = false
    for (const [store, end] of ends) {
      const checkpoint = open.state.checkpoint(store)
      if ((checkpoint?.offset ?? 0) !== end) return false
      isDue ||= checkpoint !== undefined && isStampDue(checkpoint, { end, nowMs })
    }
    return isDue
  }

  /** Committed offsets of the source topics that a copy mirrors; undefined while they are not known. */
  async #committed(
    { restore }: Copy,
    signal: AbortSignal,
  ): Promise<readonly CommittedOffset[] | undefined> {
    const { mirrored } = restore
    if (mirrored.length === 0) return []
    try {
      const { groupId, transport } = this.#parts
      const asked = transport.admin.committedOffsets(groupId, mirrored)
      const committed = await untilAborted(asked, signal)
      return committed.flatMap((offset) => (offset === undefined ? [] : [offset]))
    } catch (error) {
      if (isMillraceError(error, 'MILLRACE_OFFSETS_PENDING')) return undefined
      throw asError(error)
    }
  }

  async #open(taskId: TaskId): Promise<void> {
    const name = describeTask(taskId)
    this.#here.add(name)
    try {
      const open = await this.#parts.open(taskId)
      const { transport, services } = this.#parts
      const restore = new TaskRestore({ taskId, state: open.state, transport, services })
      this.#copies.set(name, { open, restore, lag: undefined })
    } catch (error) {
      this.#here.delete(name)
      throw asError(error)
    }
  }

  async #close(isOver: (name: string) => boolean): Promise<void> {
    await using resources = new AsyncDisposableStack()
    for (const [name, { open }] of this.#copies) {
      if (!isOver(name)) continue
      this.#copies.delete(name)
      resources.defer(() => void this.#here.delete(name))
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
