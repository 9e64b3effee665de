/** Files that stay open between uses, up to a limit; the one unused for longest is closed first. */
import type { FileHandle } from 'node:fs/promises'

interface OpenFile {
  readonly handle: Promise<FileHandle>
  uses: number
  /** Closed as soon as its last use ends. */
  dropped: boolean
}

/** Open files by path. */
export class FilePool {
  readonly #limit: number
  /** In the order of last use, the oldest first. */
  readonly #files = new Map<string, OpenFile>()

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Runs `work` with the file at `path`, opened by `open` unless it is open. */
  async use<T>(
    path: string,
    open: (path: string) => Promise<FileHandle>,
    work: (file: FileHandle) => Promise<T>,
  ): Promise<T> {
    const file = this.#files.get(path) ?? { handle: open(path), uses: 0, dropped: false }
    file.uses += 1
    this.#files.delete(path)
    this.#files.set(path, file)
    try {
      return await work(await file.handle)
    } catch (error) {
      // A handle that could not be opened must not be handed to the next use.
      if (await failed(file.handle)) this.#drop(path, file)
      throw error
    } finally {
      file.uses -= 1
      await this.#closeUnused(path, file)
    }
  }

  /** Forgets the files under a folder, which is about to be removed. */
  async drop(folder: string): Promise<void> {
    for (const [path, file] of this.#files) {
      if (!path.startsWith(folder)) continue
      this.#drop(path, file)
      if (file.uses === 0) await (await file.handle).close()
    }
  }

  /** Closes every file. None may be in use. */
  async close(): Promise<void> {
    const files = [...this.#files.values()]
    this.#files.clear()
    for (const { handle } of files) await (await handle).close()
  }

  #drop(path: string, file: OpenFile): void {
    file.dropped = true
    if (this.#files.get(path) === file) this.#files.delete(path)
  }

  async #closeUnused(path: string, file: OpenFile): Promise<void> {
    if (file.dropped) {
      if (file.uses === 0 && !(await failed(file.handle))) await (await file.handle).close()
      return
    }
    if (this.#files.size <= this.#limit) return
    for (const [oldest, candidate] of this.#files) {
      if (candidate.uses > 0 || oldest === path) continue
      this.#drop(oldest, candidate)
      await (await candidate.handle).close()
      return
    }
  }
}

async function failed(handle: Promise<FileHandle>): Promise<boolean> {
  return await handle.then(
    () => false,
    () => true,
  )
}
