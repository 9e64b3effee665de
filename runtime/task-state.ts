/** The states of an app and of a unit, as data: what may follow what. */

/** The life of a streams app. */
export type AppState = 'created' | 'starting' | 'running' | 'stopping' | 'stopped' | 'failed'

/** The life of a commit unit's tasks. */
export type TaskPhase = 'created' | 'restoring' | 'running' | 'suspended' | 'closed'

const APP_MOVES: Readonly<Record<AppState, readonly AppState[]>> = {
  created: ['starting', 'stopped'],
  starting: ['running', 'stopping', 'failed'],
  running: ['stopping', 'failed'],
  stopping: ['stopped', 'failed'],
  stopped: [],
  failed: [],
}

const TASK_MOVES: Readonly<Record<TaskPhase, readonly TaskPhase[]>> = {
  created: ['restoring', 'closed'],
  restoring: ['running', 'suspended', 'closed'],
  running: ['suspended', 'closed'],
  suspended: ['restoring', 'running', 'closed'],
  closed: [],
}

/** `to`, if an app may go there from `from`; an assertion otherwise. */
export function moveApp(from: AppState, to: AppState): AppState {
  if (APP_MOVES[from].includes(to)) return to
  throw new TypeError(`an app does not go from ${from} to ${to}`)
}

/** `to`, if a task may go there from `from`; an assertion otherwise. */
export function moveTask(from: TaskPhase, to: TaskPhase): TaskPhase {
  if (TASK_MOVES[from].includes(to)) return to
  throw new TypeError(`a task does not go from ${from} to ${to}`)
}
