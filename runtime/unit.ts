/**
 * A commit unit from its start to its stop: one producer and the tasks that share its transactions.
 * It starts by the steps of runtime/start.ts and runs in runtime/unit-loop.ts. After an error from
 * which the loop cannot rewind it takes the way of a crash: everything is dropped, and it starts over
 * from what is committed; it gives up when that brings no progress for too long.
 */
import { sleep } from '../model/clock.ts'
import { asError } from '../model/errors.ts'
import { memoryDatabase } from '../state/memory-database.ts'
import type { StateHome } from '../state/home.ts'
import { TaskState } from '../state/layers.ts'
import type { Transport } from '../transport/transport.ts'
import { describeTask, type OffsetWriter, type TaskId, type UnitAssignment } from './assignment.ts'
import { AT_LEAST_ONCE, EXACTLY_ONCE, type CommitStep } from './commit.ts'
import type { Guarantee } from './config.ts'
import { remedyFor } from './failure.ts'
import { Outputs } from './outputs.ts'
import type { AppServices, UnitServices } from './services.ts'
import { RepartitionPurge } from './repartition-purge.ts'
import { START, type StartProgress, type StartStep } from './start.ts'
import { StartingUnitTask } from './starting-task.ts'
import { fetchPendingSchema } from './pending-schema.ts'
import { moveTask, type TaskPhase } from './task-state.ts'
import { startsOf, UnitLoop } from './unit-loop.ts'
import { UnitTask } from './unit-task.ts'
import { untilAborted } from './until-aborted.ts'
import { Wakeup } from './wakeup.ts'

/** What a unit is made of. */
export interface UnitParts {
  readonly assignment: UnitAssignment
  readonly services: AppServices
  readonly transport: Transport
  readonly guarantee: Guarantee
  readonly openState: (assignment: UnitAssignment) => Promise<StateHome>
  readonly commitSteps?: readonly CommitStep[]
  readonly startSteps?: readonly StartStep[]
}

/** Longest wait before a unit starts over, as a multiple of the first. */
const LONGEST_BACKOFF = 30

/** One commit unit. */
export class CommitUnit {
  readonly #parts: UnitParts
  readonly #stop = new AbortController()
  readonly #cancel = new AbortController()
  readonly #onStarted: () => void
  #loop: UnitLoop | undefined
  #tasks: readonly UnitTask[] | undefined
  #phase: TaskPhase = 'created'
  /** Lives that ended in a failure since the last progress, and when the first of them began. */
  #failures = 0
  #failingSinceMs = 0

  constructor(parts: UnitParts, onStarted: () => void) {
    this.#parts = parts
    this.#onStarted = onStarted
  }

  get phase(): TaskPhase {
    return this.#phase
  }

  /** Whether nothing is left to do until a record comes. */
  get idle(): boolean {
    return this.#phase === 'running' && this.#loop?.idle === true
  }

  /** Where the inputs stand; empty while the unit is not running. */
  get positions(): ReturnType<UnitTask['loop']['positions']> {
    return this.#loop?.positions ?? []
  }

  /** The tasks whose stores can be read now; undefined while the unit is not running. */
  get readableTasks(): readonly UnitTask[] | undefined {
    return this.#tasks
  }

  /** Asks for a clean stop: `run` resolves after the last commit. */
  stop(): void {
    this.#stop.abort()
  }

  /** Ends the unit without a last commit. */
  cancel(reason: Error): void {
    this.#stop.abort()
    this.#cancel.abort(reason)
  }

  /** Runs until the stop. Rejects with what it could not get over. */
  async run(): Promise<void> {
    this.#failingSinceMs = this.#parts.services.clock.monotonic()
    while (!this.#stop.signal.aborted) {
      try {
        await this.#runOnce()
      } catch (thrown) {
        const pending = fetchPendingSchema(unwrap(asError(thrown)))
        await this.#afterFailure(await untilAborted(pending, this.#cancel.signal).catch(asError))
      }
    }
    this.#phase = moveTask(this.#phase, 'closed')
  }

  /** Returns to start over after a wait, or because a stop was asked for; throws what cannot be got over. */
  async #afterFailure(error: Error): Promise<void> {
    const { clock, limits, onEvent } = this.#parts.services
    if ((this.#loop?.rounds ?? 0) > 0) {
      this.#failures = 0
      this.#failingSinceMs = clock.monotonic()
    }
    this.#failures += 1
    const isStopping = this.#stop.signal.aborted
    const isOver = !isStopping && clock.monotonic() - this.#failingSinceMs >= limits.unitTimeoutMs
    const isAskedFor = isStopping && error === this.#stop.signal.reason
    if (isOver || (!isAskedFor && remedyFor(error, this.#parts.guarantee) === 'stop')) {
      this.#phase = moveTask(this.#phase, 'closed')
      throw error
    }
    this.#phase = moveTask(this.#phase, 'suspended')
    if (isStopping) {
      if (!isAskedFor) onEvent({ kind: 'notice', message: unfinishedStop(error) })
      return
    }
    const longest = limits.restartBackoffMs * Math.min(2 ** (this.#failures - 1), LONGEST_BACKOFF)
    const delayMs = Math.ceil(longest * (0.5 + clock.random() / 2))
    onEvent({ kind: 'restarting', unit: this.#parts.assignment.unit, error, delayMs })
    await sleep(clock, delayMs, this.#stop.signal).catch(() => {})
  }

  /** One life: from the start steps to a clean stop, or to an error. Closes what it opened, in reverse order. */
  async #runOnce(): Promise<void> {
    const { assignment, transport, services, guarantee } = this.#parts
    this.#phase = moveTask(this.#phase, 'restoring')
    this.#loop = undefined
    await using home = await this.#parts.openState(assignment)
    if (home.dropped !== undefined) services.onEvent({ kind: 'notice', message: home.dropped })
    await using resources = new AsyncDisposableStack()
    const { prefetchBytes, transactionTimeoutMs, heldBytes } = services.limits
    const reader = resources.use(
      transport.openReader({ isolation: 'read_committed', prefetchBytes }),
    )
    const { transactionalId } = assignment
    const transactional =
      guarantee === 'exactly-once' ? { transactionalId, transactionTimeoutMs } : {}
    const producer = resources.use(transport.openProducer(transactional))
    const purge = resources.use(this.#purge())
    const wakeup = new Wakeup()
    const unitServices: UnitServices = {
      ...services,
      reader,
      outputs: new Outputs(producer, { maxHeldBytes: heldBytes }),
      writer: this.#writer(),
      onWork: () => wakeup.ring(),
    }
    const tasks: UnitTask[] = []
    for (const taskId of assignment.tasks) {
      const state = await openTaskState({ taskId, home, services: unitServices, resources })
      const task = new UnitTask({ taskId, state, services: unitServices })
      resources.defer(async () => await task.end())
      tasks.push(task)
    }
    const starting = this.#start(tasks, { producer, unitServices })
    const progress = await untilAborted(starting, this.#cancel.signal)
    this.#loop = new UnitLoop({
      unit: assignment.unit,
      groupId: services.open.application,
      guarantee,
      tasks,
      producer,
      reader,
      outputs: unitServices.outputs,
      wakeup,
      clock: services.clock,
      limits: services.limits,
      commitSteps:
        this.#parts.commitSteps ?? (guarantee === 'exactly-once' ? EXACTLY_ONCE : AT_LEAST_ONCE),
      commitOffsets: async (offsets) =>
        await transport.admin.commitOffsets(services.open.application, offsets),
      starts: progress.starts,
      purge,
      onEvent: services.onEvent,
    })
    // Deferred last, so that it comes first: then the databases are closed, one after the other.
    resources.defer(() => void (this.#tasks = undefined))
    this.#started(tasks)
    await this.#loop.run(this.#stop.signal, this.#cancel.signal)
  }

  #started(tasks: readonly UnitTask[]): void {
    const { assignment, services } = this.#parts
    this.#phase = moveTask(this.#phase, 'running')
    this.#tasks = tasks
    services.onEvent({
      kind: 'unit-started',
      unit: assignment.unit,
      tasks: assignment.tasks.map(describeTask),
    })
    this.#onStarted()
  }

  async #start(
    tasks: readonly UnitTask[],
    {
      producer,
      unitServices,
    }: { producer: ReturnType<Transport['openProducer']>; unitServices: UnitServices },
  ): Promise<StartProgress> {
    const { transport, guarantee, startSteps } = this.#parts
    const progress: StartProgress = { committed: [], starts: [] }
    const round = {
      transport,
      producer,
      guarantee,
      groupId: unitServices.open.application,
      writer: unitServices.writer,
      tasks: tasks.map((task) => new StartingUnitTask(task, transport, unitServices)),
      clock: unitServices.clock,
      limits: unitServices.limits,
      signal: this.#stop.signal,
      progress,
    }
    for (const step of startSteps ?? START) {
      round.signal.throwIfAborted()
      await step.run(round)
    }
    for (const task of tasks) await task.begin(startsOf(task, progress.starts))
    return progress
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

  #writer(): OffsetWriter {
    return { mode: 'static', transactionalId: this.#parts.assignment.transactionalId }
  }
}

async function openTaskState(parts: {
  readonly taskId: TaskId
  readonly home: StateHome
  readonly services: UnitServices
  readonly resources: AsyncDisposableStack
}): Promise<TaskState> {
  const { taskId, home, services, resources } = parts
  const { database, movedAsideTo } = await home.openTask(describeTask(taskId))
  resources.use(database)
  if (movedAsideTo !== undefined) {
    const message = `the state of task ${describeTask(taskId)} was damaged; it is kept in ${movedAsideTo} and restored from the changelogs`
    services.onEvent({ kind: 'notice', message })
  }
  const stores = taskId.subtopology.stores.map(({ spec }) => spec)
  const volatileDatabase = resources.use(memoryDatabase())
  const { clock } = services
  const { flushIntervalMs, flushBytes, stateCacheBytes: cacheBytes } = services.limits
  const limits = { flushIntervalMs, flushBytes, cacheBytes }
  return resources.use(new TaskState({ stores, database, volatileDatabase, clock, limits }))
}

/** A stop that could not make its last commit loses nothing: it is as if the stop had come a little earlier. */
function unfinishedStop(error: Error): string {
  return `stopped without a last commit (${error.message}); what it would have held is done again at the next start`
}

/** What closing threw must not hide why it was closed. */
function unwrap(error: Error): Error {
  return error instanceof SuppressedError ? unwrap(asError(error.suppressed)) : error
}
