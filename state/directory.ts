/**
 * The folder of one commit unit, and who may use it:
 *
 *   <stateDir>/<application>/<unit>/
 *     unit.json        whose folder it is, process id, boot id, clean-close mark (state/unit-file.ts)
 *     lock/            a LevelDB that holds nothing: the lock
 *     tasks/<task>/    a LevelDB each, large values in blobs/; `<task>.removed` is on its way out
 *
 * The lock is LevelDB's, which is the kernel's: it ends with the process that holds it, however that
 * one died. So a stale lock does not exist, and nobody has to guess from times, or from process
 * numbers, which mean nothing across containers and come again after a restart. The number in
 * unit.json only serves the message. (Node itself has no file locks.) One hole is known: a second
 * open in the same process is refused, but makes the system forget the lock; what follows from a
 * third party is then refused by the locks of the tasks' databases.
 *
 * LevelDB's batches are not synced, which a killed process survives and a machine that goes down does
 * not. So a folder whose last close was not clean and that was opened under another boot of the
 * kernel is not trusted: its databases are dropped and restored from the changelogs, and said so.
 */
import { readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../model/clock.ts'
import { isMillraceError, MillraceError } from '../model/errors.ts'
import { makeFolder } from '../model/make-folder.ts'
import { isMissing } from '../model/missing-file.ts'
import { tellClosed, type OpenedDatabase, type StateHome } from './home.ts'
import { openLevelDatabase, type LevelDatabaseOptions } from './level-database.ts'
import { stateError, stateInUse } from './level-errors.ts'
import type { Database } from './store.ts'
import { kernelBootId, readUnitFile, syncTree, writeUnitFile, type UnitFile } from './unit-file.ts'

/** Which folder to open, and for whom. */
export interface StateDirectoryOptions {
  readonly stateDir: string
  readonly applicationId: string
  /** The commit unit: the process in group mode, `i-of-N` in static mode. */
  readonly unit: string
  /** What the topology's stores look like. */
  readonly fingerprint: string
  readonly clock: Clock
  readonly level?: LevelDatabaseOptions
  /** The kernel's boot id. Default: asked from the system. */
  readonly bootId?: string
}

const LOCK = 'lock'
const TASKS = 'tasks'
const TASK = /^\d+_\d+$/
const REMOVED = '.removed'

/**
 * Opens a unit's folder and creates it where it is new. Rejects with MILLRACE_STATE_IN_USE,
 * MILLRACE_STATE_FOREIGN, MILLRACE_STATE_UNWRITABLE, MILLRACE_STATE_FULL or MILLRACE_STATE_CORRUPT.
 */
export async function openStateDirectory(options: StateDirectoryOptions): Promise<StateHome> {
  const folder = join(options.stateDir, options.applicationId, options.unit)
  try {
    await makeFolder(join(folder, TASKS))
    const lock = await lockUnitFolder(folder)
    try {
      return await enter(folder, lock, options)
    } catch (error) {
      await lock[Symbol.asyncDispose]()
      throw error
    }
  } catch (error) {
    throw stateError(error, folder)
  }
}

/** Takes the lock of a unit's folder, until it is disposed. Rejects with MILLRACE_STATE_IN_USE, and says who has it. */
export async function lockUnitFolder(folder: string): Promise<Database> {
  try {
    const { database } = await openLevelDatabase(join(folder, LOCK))
    return database
  } catch (error) {
    if (!isMillraceError(error, 'MILLRACE_STATE_IN_USE')) throw error
    const holder = await readUnitFile(folder).catch(() => undefined)
    throw stateInUse(
      folder,
      holder === undefined ? undefined : `process ${holder.holderPid}`,
      error,
    )
  }
}

async function enter(
  folder: string,
  lock: Database,
  options: StateDirectoryOptions,
): Promise<StateHome> {
  const found = await readUnitFile(folder)
  const bootId = options.bootId ?? (await kernelBootId())
  if (found !== undefined) refuseForeign(folder, found, options)
  const isTorn = found !== undefined && !found.closedCleanly && found.bootId !== bootId
  const unit: UnitFile = {
    version: 1,
    applicationId: options.applicationId,
    fingerprint: options.fingerprint,
    processId: found?.processId ?? options.clock.uuid(),
    closedCleanly: false,
    holderPid: process.pid,
    ...(bootId === undefined ? {} : { bootId }),
  }
  // Dropped before the file says otherwise: a crash in between drops it again.
  if (isTorn) await rm(join(folder, TASKS), { recursive: true, force: true })
  await makeFolder(join(folder, TASKS))
  await finishRemovals(folder)
  await writeUnitFile(folder, unit)
  const dropped = isTorn
    ? `the machine went down while ${folder} was in use: its state is restored from the changelogs`
    : undefined
  return new UnitFolder({ folder, lock, unit, dropped, level: options.level ?? {} })
}

/** A removal that a crash interrupted goes on. */
async function finishRemovals(folder: string): Promise<void> {
  for (const name of await readdir(join(folder, TASKS))) {
    if (name.endsWith(REMOVED)) await rm(join(folder, TASKS, name), { recursive: true })
  }
}

function refuseForeign(folder: string, found: UnitFile, options: StateDirectoryOptions): void {
  const { applicationId, fingerprint } = options
  if (found.applicationId !== applicationId) {
    throw foreign(
      folder,
      `application ${found.applicationId}. Choose another state folder or application id.`,
    )
  }
  if (found.fingerprint === fingerprint) return
  throw foreign(
    folder,
    `another topology of ${applicationId}: its source topics or its stores have changed. ` +
      'To begin anew, run `millrace reset` with the new pipeline; to begin beside what is there, choose another ' +
      'application id. Where stores were only added or left out, delete this folder: the others come back from their changelogs.',
  )
}

function foreign(folder: string, whose: string): MillraceError {
  return new MillraceError('MILLRACE_STATE_FOREIGN', `the state in ${folder} belongs to ${whose}`, {
    place: folder,
  })
}

class UnitFolder implements StateHome {
  readonly place: string
  readonly processId: string
  readonly dropped: string | undefined
  readonly #lock: Database
  readonly #unit: UnitFile
  readonly #level: LevelDatabaseOptions
  readonly #openTasks = new Set<string>()
  readonly #removals = new Map<string, Promise<void>>()
  #closed = false

  constructor(parts: {
    readonly folder: string
    readonly lock: Database
    readonly unit: UnitFile
    readonly dropped: string | undefined
    readonly level: LevelDatabaseOptions
  }) {
    this.place = parts.folder
    this.processId = parts.unit.processId
    this.dropped = parts.dropped
    this.#lock = parts.lock
    this.#unit = parts.unit
    this.#level = parts.level
  }

  async openTask(taskId: string): Promise<OpenedDatabase> {
    // Marked before anything is awaited, so that no removal begins meanwhile.
    this.#openTasks.add(taskId)
    try {
      await this.#removals.get(taskId)?.catch(() => {})
      const opened = await openLevelDatabase(this.#folderOf(taskId), this.#level)
      const database = tellClosed(opened.database, () => this.#openTasks.delete(taskId))
      return { ...opened, database }
    } catch (error) {
      this.#openTasks.delete(taskId)
      throw error
    }
  }

  async tasks(): Promise<readonly string[]> {
    const names = await readdir(join(this.place, TASKS))
    return names.filter((name) => TASK.test(name)).sort()
  }

  async removeTask(taskId: string): Promise<boolean> {
    if (this.#openTasks.has(taskId)) return false
    const removal = this.#removals.get(taskId) ?? this.#remove(taskId)
    this.#removals.set(taskId, removal)
    try {
      await removal
      return true
    } finally {
      this.#removals.delete(taskId)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    try {
      await Promise.allSettled(this.#removals.values())
      await syncTree(join(this.place, TASKS))
      await writeUnitFile(this.place, { ...this.#unit, closedCleanly: true })
    } catch (error) {
      throw stateError(error, this.place)
    } finally {
      await this.#lock[Symbol.asyncDispose]()
    }
  }

  #folderOf(taskId: string): string {
    return join(this.place, TASKS, taskId)
  }

  /** Renamed first: half a database would be one that has forgotten something. */
  async #remove(taskId: string): Promise<void> {
    const removed = `${this.#folderOf(taskId)}${REMOVED}`
    try {
      await rm(removed, { recursive: true, force: true })
      await rename(this.#folderOf(taskId), removed)
      await rm(removed, { recursive: true })
    } catch (error) {
      if (!isMissing(error)) throw stateError(error, this.place)
    }
  }
}
