/**
 * All that one application keeps below a state folder, for whoever takes it away: a folder a unit.
 * They are locked first, as a running unit locks its own, so that none is taken from under a process
 * and none starts over what is half gone.
 */
import { readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isMissing } from '../model/missing-file.ts'
import { lockUnitFolder } from './directory.ts'
import { stateError } from './level-errors.ts'

/** What a folder is called on its way out: nobody opens it any more. */
const REMOVED = '.removed'

/** The folders of an application's units, locked until they are disposed. */
export class UnitFolders implements AsyncDisposable {
  readonly paths: readonly string[]
  readonly #locks: AsyncDisposableStack

  private constructor(paths: readonly string[], locks: AsyncDisposableStack) {
    this.paths = paths
    this.#locks = locks
  }

  /** Locks what is there; MILLRACE_STATE_IN_USE where a process has one of them open. */
  static async lock(stateDir: string, applicationId: string): Promise<UnitFolders> {
    await using locks = new AsyncDisposableStack()
    const paths: string[] = []
    const folder = join(stateDir, applicationId)
    for (const name of await namesIn(folder)) {
      const path = join(folder, name)
      if (!name.endsWith(REMOVED)) locks.use(await lockUnitFolder(path))
      paths.push(path)
    }
    return new UnitFolders(paths, locks.move())
  }

  /** Deletes them. A crash meanwhile leaves each whole, or in a folder that the next call deletes. */
  async remove(): Promise<void> {
    for (const path of this.paths) {
      const removed = path.endsWith(REMOVED) ? path : `${path}${REMOVED}`
      try {
        if (removed !== path) {
          await rm(removed, { recursive: true, force: true })
          await rename(path, removed)
        }
        await rm(removed, { recursive: true, force: true })
      } catch (error) {
        throw stateError(error, path)
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#locks.disposeAsync()
  }
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true })
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
  } catch (error) {
    if (isMissing(error)) return []
    throw stateError(error, folder)
  }
}
