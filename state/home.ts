/** Where a unit's databases come from: folders on a disk, or maps of a simulated one. */
import {
  memoryDatabase,
  memoryDisk,
  type MemoryDatabase,
  type MemoryDisk,
} from './memory-database.ts'
import type { Database, DatabaseWrite } from './store.ts'

/** A task's database, and what had to be done to open it. */
export interface OpenedDatabase {
  readonly database: Database
  /** Where a damaged database was moved to; the new one is empty and the caller restores it, and says so. */
  readonly movedAsideTo?: string
}

/** What a commit unit keeps on its machine. */
export interface StateHome extends AsyncDisposable {
  /** For messages: the folder. */
  readonly place: string
  /** A UUID that stays the same as long as the place exists. */
  readonly processId: string
  /** Why the databases that were here had to be dropped, as a sentence; undefined where they were not. */
  readonly dropped: string | undefined
  /** Opens the database of a task. The caller disposes it before the home. */
  openTask(taskId: string): Promise<OpenedDatabase>
  /** The tasks that have a database here, open or not, sorted. */
  tasks(): Promise<readonly string[]>
  /** Deletes the database of a task, whole or not at all. False where it is open, and stays; an `openTask` meanwhile waits. */
  removeTask(taskId: string): Promise<boolean>
}

/** The same database, which tells when it has been closed. */
export function tellClosed<D extends Database>(database: D, onClosed: () => void): D {
  const close = database[Symbol.asyncDispose].bind(database)
  // On the object itself: something around it would stand in the way of every read.
  return Object.assign(database, {
    [Symbol.asyncDispose]: async (): Promise<void> => {
      try {
        await close()
      } finally {
        onClosed()
      }
    },
  })
}

/** The disk of a simulated machine: databases by task. */
export class MemoryHome implements StateHome {
  readonly place = 'memory'
  readonly processId: string
  readonly dropped = undefined
  readonly disks: Map<string, MemoryDisk>
  readonly #settle: ((writes: readonly DatabaseWrite[]) => Promise<void>) | undefined
  readonly #open = new Set<MemoryDatabase>()
  readonly #openTasks = new Set<string>()

  constructor(options: {
    readonly processId: string
    /** What an earlier home left. Default: nothing. */
    readonly disks?: Map<string, MemoryDisk>
    readonly settle?: (writes: readonly DatabaseWrite[]) => Promise<void>
  }) {
    this.processId = options.processId
    this.disks = options.disks ?? new Map<string, MemoryDisk>()
    this.#settle = options.settle
  }

  async openTask(taskId: string): Promise<OpenedDatabase> {
    const disk = this.disks.get(taskId) ?? memoryDisk()
    this.disks.set(taskId, disk)
    const settle = this.#settle
    const database = memoryDatabase(settle === undefined ? { disk } : { disk, settle })
    this.#open.add(database)
    this.#openTasks.add(taskId)
    return { database: tellClosed(database, () => this.#openTasks.delete(taskId)) }
  }

  async tasks(): Promise<readonly string[]> {
    return [...this.disks.keys()].sort()
  }

  async removeTask(taskId: string): Promise<boolean> {
    if (this.#openTasks.has(taskId)) return false
    this.disks.delete(taskId)
    return true
  }

  /** Crashes every database that was opened here; `inFlight` says for each what became of its batch. */
  crash(inFlight: () => 'keep' | 'drop'): Map<string, MemoryDisk> {
    for (const database of this.#open) database.crash(inFlight())
    this.#open.clear()
    return this.disks
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#open.clear()
  }
}
