/**
 * One life of a commit unit, from its first step to a clean stop, or to an error it cannot rewind
 * from: what it opens, in which order, and that all of it is closed again, the last one first. The
 * record loop (runtime/unit-loop.ts) and the keeper of its tasks (runtime/task-keeper.ts) run side by
 * side; the failure of one ends the other.
 */
import { sleep } from '../model/clock.ts'
import { eitherSignal } from '../model/either-signal.ts'
import { asError, isMillraceError, MillraceError } from '../model/errors.ts'
import type { StateHome } from '../state/home.ts'
import { TransportError } from '../transport/errors.ts'
import type { Producer, Reader } from '../transport/transport.ts'
import { describeTask } from './assignment.ts'
import { AT_LEAST_ONCE, EXACTLY_ONCE } from './commit.ts'
import { Lease, whileHeld } from './lease.ts'
import { openCopy, openTask } from './open-task.ts'
import { Outputs } from './outputs.ts'
import { RELEASE } from './release.ts'
import { RepartitionPurge } from './repartition-purge.ts'
import type { UnitServices } from './services.ts'
import type { Share, ShareHolder } from './share.ts'
import { Standbys } from './standbys.ts'
import { START, type StartProgress } from './start.ts'
import { StartingUnitTask } from './starting-task.ts'
import { TaskKeeper } from './task-keeper.ts'
import type { UnitParts } from './unit.ts'
import { startsOf, UnitLoop } from './unit-loop.ts'
import type { StartOffset, UnitTask } from './unit-task.ts'
import { untilAborted } from '../model/until-aborted.ts'
import { Wakeup } from './wakeup.ts'

/** Of the rebalance timeout, for which a commit on its way may hold up the joining of the group. */
const HOLD_SHARE = 0.5
/** Heartbeats within which whoever was fenced hears from the group whether it is out. */
const HEARTBEATS = 2

/** What a life is made of. */
export interface UnitLifeParts extends Omit<
  UnitParts,
  'openState' | 'openShare' | 'transactionalId'
> {
  readonly home: StateHome
  readonly share: Share
  readonly transactionalId: string
  /** What runs is what the share says: at the start, and after each change of a group. */
  readonly onSettled: () => void
}

/** What goes between a unit and its log. */
interface Lines {
  readonly reader: Reader
  readonly producer: Producer
  readonly outputs: Outputs
  readonly wakeup: Wakeup
}

/** One life of a unit. */
export class UnitLife implements ShareHolder {
  readonly #parts: UnitLifeParts
  readonly #lost = new AbortController()
  readonly #over = Promise.withResolvers<void>()
  #loop: UnitLoop | undefined
  #keeper: TaskKeeper | undefined
  #standbys: Standbys | undefined
  #initialized: Promise<void> | undefined
  /** Where nothing but time fences this life: in a group, outside transactions. */
  #lease: Lease | undefined
  #producer: Producer | undefined
  #hasRestored = false

  constructor(parts: UnitLifeParts) {
    this.#parts = parts
  }

  /** Whether the next life begins further on than this one did: it has committed, or has restored something to disk. */
  get hasProgressed(): boolean {
    return this.#hasRestored || (this.#loop?.rounds ?? 0) > 0
  }

  /** Whether anything that it did was committed: it had every right that it took. */
  get hasWorked(): boolean {
    return this.#loop?.hasWorked === true
  }

  get idle(): boolean {
    return this.#keeper?.isSettled === true && this.#loop?.idle === true
  }

  get positions(): UnitLoop['positions'] {
    return this.#loop?.positions ?? []
  }

  get tasks(): readonly UnitTask[] {
    return this.#loop?.tasks ?? []
  }

  /** Runs until `stop` aborts, then commits what is done; `cancel` leaves at once. */
  async run(stop: AbortSignal, cancel: AbortSignal): Promise<void> {
    const { share } = this.#parts
    const ended = new AbortController()
    using over = eitherSignal(stop, ended.signal)
    using leaving = eitherSignal(cancel, this.#lost.signal)
    try {
      await using resources = new AsyncDisposableStack()
      const { loop, keeper, standbys } = this.#open(resources)
      share.hold(this)
      this.#lease?.watch()
      const beside = [keeper, standbys].map(
        async (work) =>
          await work.run(over.signal).catch((error: unknown) => loop.breakOff(asError(error))),
      )
      resources.defer(async () => {
        ended.abort(new Error('the unit has stopped'))
        await untilAborted(Promise.all(beside), cancel)
      })
      await loop.run(stop, leaving.signal).catch(async (error: unknown) => {
        throw await this.#reasonOf(asError(error), stop)
      })
    } finally {
      share.release()
      this.#keeper?.answer()
      this.#over.resolve()
    }
  }

  async joining(): Promise<void> {
    const { clock, limits, open } = this.#parts.services
    const deadlineMs = limits.rebalanceTimeoutMs * HOLD_SHARE
    const late = clock.timer(deadlineMs, () => {
      this.#giveUp(commitHeldUp(open.application, deadlineMs))
    })
    // A loop that ended commits nothing any more: it is as good as held.
    await this.#loop?.holdRounds().catch(() => {})
    late.cancel()
    this.#lease?.rest()
  }

  async trimmed(): Promise<void> {
    this.#lease?.watch()
    await this.#keeper?.trimmed()
  }

  changed(): void {
    this.#lease?.watch()
    this.#loop?.resumeRounds()
    this.#keeper?.changed()
  }

  async lost(error: Error): Promise<void> {
    this.#giveUp(error)
    await this.#over.promise
  }

  lagOf(task: string): number | undefined {
    return this.#standbys?.lagOf(task)
  }

  failed(error: Error): void {
    this.#discard()
    this.#loop?.breakOff(error)
  }

  #giveUp(error: Error): void {
    this.#discard()
    this.#lost.abort(error)
  }

  /** An heir does again what waits to be sent. (A transaction is fenced by the log, and aborted at the end.) */
  #discard(): void {
    if (this.#parts.guarantee === 'at-least-once') this.#producer?.discard()
  }

  /**
   * Why the loop ended. Whoever is taken for dead may be fenced by its heir before it hears from the
   * group that it is out: then that is the reason, and the life after this one begins with a new share.
   */
  async #reasonOf(error: Error, stop: AbortSignal): Promise<Error> {
    const { mode, services } = this.#parts
    if (mode !== 'group' || !isFenced(error)) return error
    using either = eitherSignal(stop, this.#lost.signal)
    const { clock, limits } = services
    await sleep(clock, HEARTBEATS * limits.heartbeatIntervalMs, either.signal).catch(() => {})
    return this.#lost.signal.aborted ? asError(this.#lost.signal.reason) : error
  }

  #open(resources: AsyncDisposableStack): {
    loop: UnitLoop
    keeper: TaskKeeper
    standbys: Standbys
  } {
    const { share, home, transport, services } = this.#parts
    const lines = this.#openLines(resources)
    this.#lease = this.#openLease(resources)
    const loop = this.#newLoop(lines, resources.use(this.#purge()))
    const standbys = new Standbys({
      groupId: services.open.application,
      transport,
      services,
      open: async (taskId) => await openCopy({ taskId, home, services }),
    })
    resources.defer(async () => await standbys.end())
    const unitServices = this.#unitServices(lines)
    const { producer } = lines
    const keeper = new TaskKeeper({
      share,
      loop,
      standbys,
      open: async (taskId) => await openTask({ taskId, home, services: unitServices }),
      start: async (tasks, signal) =>
        await this.#start(tasks, { producer, services: unitServices, signal }),
      onSettled: (tasks) => this.#settled(tasks),
    })
    resources.defer(async () => await keeper.end())
    this.#loop = loop
    this.#keeper = keeper
    this.#standbys = standbys
    return { loop, keeper, standbys }
  }

  #openLease(resources: AsyncDisposableStack): Lease | undefined {
    const { mode, guarantee, share, services } = this.#parts
    if (mode === 'static' || guarantee === 'exactly-once') return undefined
    const { clock, open } = services
    const onOver = (error: Error): void => this.#giveUp(error)
    const lease = new Lease({ application: open.application, share, clock, onOver })
    return resources.use(lease)
  }

  /** What goes between the unit and its log, and what wakes the loop. */
  #openLines(resources: AsyncDisposableStack): Lines {
    const { transport, services, guarantee, transactionalId } = this.#parts
    const { prefetchBytes, transactionTimeoutMs, heldBytes } = services.limits
    const reader = resources.use(
      transport.openReader({ isolation: 'read_committed', prefetchBytes }),
    )
    const transactional =
      guarantee === 'exactly-once' ? { transactionalId, transactionTimeoutMs } : {}
    const producer = resources.use(transport.openProducer(transactional))
    this.#producer = producer
    const wakeup = new Wakeup()
    resources.use(services.pause.onResume(() => wakeup.ring()))
    return { reader, producer, wakeup, outputs: new Outputs(producer, { maxHeldBytes: heldBytes }) }
  }

  #newLoop(lines: Lines, purge: RepartitionPurge): UnitLoop {
    const { unit, mode, share, transport, services, guarantee, steps } = this.#parts
    const { clock, limits, pause, onEvent } = services
    const commit = steps?.commit ?? (guarantee === 'exactly-once' ? EXACTLY_ONCE : AT_LEAST_ONCE)
    const lease = this.#lease
    return new UnitLoop({
      ...lines,
      unit,
      guarantee,
      mode,
      pause,
      clock,
      limits,
      onEvent,
      purge,
      group: () => share.group,
      steps: lease === undefined ? commit : whileHeld(commit, lease),
      releaseSteps: steps?.release ?? RELEASE,
      commitOffsets: async (offsets, group) =>
        group.generation < 0
          ? await transport.admin.commitOffsets(group.groupId, offsets)
          : await transport.admin.commitOffsets(group.groupId, offsets, group),
    })
  }

  #unitServices({ reader, outputs, wakeup }: Lines): UnitServices {
    const { services, mode, transactionalId } = this.#parts
    const writer = { mode, transactionalId }
    return { ...services, reader, outputs, writer, onWork: () => wakeup.ring() }
  }

  /** Takes tasks through the steps of a start, and begins them. */
  async #start(
    tasks: readonly UnitTask[],
    parts: { producer: Producer; services: UnitServices; signal: AbortSignal },
  ): Promise<readonly StartOffset[]> {
    const { transport, guarantee, steps, share, adopt } = this.#parts
    const { producer, services, signal } = parts
    const progress: StartProgress = { committed: [], starts: [] }
    const round = {
      transport,
      guarantee,
      groupId: services.open.application,
      topicIdOf: services.topicIdOf,
      writer: services.writer,
      adopt,
      departed: share.departed.filter((id) => id !== services.writer.transactionalId),
      onFenced: (transactionalIds: readonly string[]) => share.fenced(transactionalIds),
      isAlive: (transactionalId: string) => share.isAlive(transactionalId),
      initProducer: async () => await untilAborted(this.#initOnce(producer), signal),
      commitStarts: async (offsets: Parameters<UnitLoop['commit']>[0]) =>
        await this.#loop?.commit(offsets, signal),
      tasks: tasks.map((task) => new StartingUnitTask(task, transport, services)),
      clock: services.clock,
      limits: services.limits,
      signal,
      progress,
    }
    const before = restoredTo(tasks)
    try {
      for (const step of steps?.start ?? START) {
        signal.throwIfAborted()
        await step.run(round)
      }
    } finally {
      this.#hasRestored ||= restoredTo(tasks) > before
    }
    for (const task of tasks) await task.begin(startsOf(task, progress.starts))
    return progress.starts
  }

  /** A start that was called off meanwhile leaves this to the next one: two at a time would be too many. */
  #initOnce(producer: Producer): Promise<void> {
    this.#initialized ??= producer.init().catch((error: unknown) => {
      this.#initialized = undefined
      throw error
    })
    return this.#initialized
  }

  #settled(tasks: readonly UnitTask[]): void {
    const { unit, services, onSettled } = this.#parts
    const names = tasks.map(({ taskId }) => describeTask(taskId))
    services.onEvent({ kind: 'unit-started', unit, tasks: names })
    onSettled()
  }

  #purge(): RepartitionPurge {
    const { transport, services } = this.#parts
    const { clock, limits, open, onEvent } = services
    return new RepartitionPurge({
      admin: transport.admin,
      topics: new Set<string>(open.topology.repartitions.map(({ topic }) => topic)),
      clock,
      intervalMs: limits.repartitionPurgeMs,
      onNotice: (message) => onEvent({ kind: 'notice', message }),
    })
  }
}

/** How far the tasks' state on disk reaches in its changelogs, all together. It only grows, but where a store has to be restored in full. */
function restoredTo(tasks: readonly UnitTask[]): number {
  let records = 0
  for (const { taskId, state } of tasks) {
    for (const { spec } of taskId.subtopology.stores) {
      if (spec.persistent) records += state.checkpoint(spec.name)?.offset ?? 0
    }
  }
  return records
}

/** The group waits for each member before it goes on, and puts out who is not there in time. */
function commitHeldUp(application: string, deadlineMs: number): MillraceError {
  return new MillraceError(
    'MILLRACE_COMMIT_HELD_UP',
    `a commit of ${application} is still on its way ${deadlineMs} ms after the members of its group began to join; longer, and the group would go on without this process. ` +
      'It starts over from what is committed; look at the brokers, or raise rebalanceTimeoutMs.',
    { remedy: 'retry' },
  )
}

/** Whether somebody else writes, or commits, in this process's place. */
function isFenced(error: Error): boolean {
  const isProducer = error instanceof TransportError && error.kind === 'fenced'
  return isProducer || isMillraceError(error, 'MILLRACE_GROUP_FENCED')
}
