/**
 * Files that nothing refers to any more, and readers that may still have seen the reference.
 *
 * A snapshot of LevelDB shows pointers that newer batches have replaced, so a file must outlive the
 * snapshots taken before its pointer went. Each retired file hangs on the youngest snapshot that is
 * open at that moment; when this one ends, the file passes to the next older one that is still open,
 * and goes when there is none. No counting of references, and nothing is asked of the snapshots that
 * came later.
 */

/** A snapshot that is open, and the files that it was the youngest to see. */
export interface Pin {
  readonly files: number[]
}

/** The files of a database that wait to be removed. */
export class RetiredFiles {
  readonly #remove: (file: number) => Promise<void>
  /** The oldest first. */
  readonly #open: Pin[] = []

  constructor(remove: (file: number) => Promise<void>) {
    this.#remove = remove
  }

  /** To be called as the snapshot is taken; `release` must follow. */
  pin(): Pin {
    const pin: Pin = { files: [] }
    this.#open.push(pin)
    return pin
  }

  /** No snapshot from now on sees a pointer to `files`. Resolves when those are gone that can go now. */
  async retire(files: Iterable<number>): Promise<void> {
    await this.#passOn(files, this.#open.at(-1))
  }

  /** The snapshot of `pin` has ended; ending twice changes nothing. */
  async release(pin: Pin): Promise<void> {
    const index = this.#open.indexOf(pin)
    if (index < 0) return
    this.#open.splice(index, 1)
    await this.#passOn(pin.files, this.#open[index - 1])
  }

  async #passOn(files: Iterable<number>, older: Pin | undefined): Promise<void> {
    if (older === undefined) for (const file of files) await this.#remove(file)
    else older.files.push(...files)
  }
}
