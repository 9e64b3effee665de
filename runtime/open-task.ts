/** Opens a task, or the copy of another process's: database, state and what stands on it, closed in reverse order. */
import { memoryDatabase } from '../state/memory-database.ts'
import type { StateHome } from '../state/home.ts'
import { TaskState } from '../state/layers.ts'
import { describeTask, type TaskId } from './assignment.ts'
import type { AppServices, UnitServices } from './services.ts'
import type { OpenCopy } from './standbys.ts'
import type { OpenTask } from './task-keeper.ts'
import { UnitTask } from './unit-task.ts'

/** A task that has its state and has not begun. */
export async function openTask(parts: {
  readonly taskId: TaskId
  readonly home: StateHome
  readonly services: UnitServices
}): Promise<OpenTask> {
  await using resources = new AsyncDisposableStack()
  const { taskId, state } = resources.use(await openCopy(parts))
  const task = new UnitTask({ taskId, state, services: parts.services })
  resources.defer(async () => await task.end())
  const owned = resources.move()
  return { task, [Symbol.asyncDispose]: async () => await owned.disposeAsync() }
}

/** The state of a task, which may run elsewhere: the layers of its stores over its database. */
export async function openCopy({
  taskId,
  home,
  services,
}: {
  readonly taskId: TaskId
  readonly home: StateHome
  readonly services: AppServices
}): Promise<OpenCopy> {
  await using resources = new AsyncDisposableStack()
  const name = describeTask(taskId)
  const { database, movedAsideTo } = await home.openTask(name)
  resources.use(database)
  if (movedAsideTo !== undefined) {
    const message = `the state of task ${name} was damaged; it is kept in ${movedAsideTo} and restored from the changelogs`
    services.onEvent({ kind: 'notice', message })
  }
  const stores = taskId.subtopology.stores.map(({ spec }) => spec)
  const volatileDatabase = resources.use(memoryDatabase())
  const { clock } = services
  const { flushIntervalMs, flushBytes, replayBytes, stateCacheBytes: cacheBytes } = services.limits
  const limits = { flushIntervalMs, flushBytes, replayBytes, cacheBytes }
  const state = new TaskState({ stores, database, volatileDatabase, clock, limits })
  resources.use(state)
  const owned = resources.move()
  return { taskId, state, [Symbol.asyncDispose]: async () => await owned.disposeAsync() }
}
