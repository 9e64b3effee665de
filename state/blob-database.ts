/**
 * A LevelDB whose large values lie in files of their own (state/blob-files.ts), with a pointer in
 * LevelDB. A value of megabytes in LevelDB is written to its log, to a table and again at every
 * compaction, and holds up the batches of all small rows meanwhile; in a file it is written once.
 *
 * The rule: files first, then the batch with the pointers, then the files that the batch left without
 * one are removed. A crash between two of these leaves files too many and never one too few; what is
 * too many is found in the background after the next open. All of it happens inside `write`, which
 * the flush awaits, so the record loop waits for none of it.
 */
import { BlobFiles, findBlobFiles } from './blob-files.ts'
import {
  decodeBlobPointer,
  encodeBlobPointer,
  looksLikePointer,
  type BlobPointer,
} from './blob-pointer.ts'
import { RetiredFiles, type Pin } from './retired-files.ts'
import type { Database, DatabaseWrite, KeyRange } from './store.ts'

/** The database below: LevelDB, which also answers many keys at once without holding up the process. */
export interface PointerDatabase extends Database {
  getMany(keys: readonly Buffer[]): Promise<readonly (Buffer | undefined)[]>
}

/** What the database is made of. */
export interface BlobDatabaseOptions {
  readonly pointers: PointerDatabase
  /** For the files; made with the first one. */
  readonly folder: string
  /** The smallest value in bytes that gets a file. */
  readonly blobBytes: number
  /** Makes an error of a file one of the database. */
  readonly explain: (error: unknown) => Error
}

/** Files written at once. */
const PARALLEL_FILES = 8
/** Keys asked for at once: what LevelDB holds under them is brought over whole, 8 MiB at most by default. */
const LOOKUP_KEYS = 32

/** Opens the files beside `pointers`, which it closes with itself. */
export async function openBlobDatabase(options: BlobDatabaseOptions): Promise<Database> {
  const found = await findBlobFiles(options.folder)
  return new BlobDatabase(options, found)
}

class BlobDatabase implements Database {
  readonly #pointers: PointerDatabase
  readonly #files: BlobFiles
  readonly #retired: RetiredFiles
  readonly #blobBytes: number
  readonly #explain: (error: unknown) => Error
  readonly #sweeping: Promise<void>
  #closed = false

  constructor(options: BlobDatabaseOptions, found: readonly number[] | undefined) {
    this.#pointers = options.pointers
    this.#blobBytes = options.blobBytes
    this.#explain = options.explain
    const files = new BlobFiles(options.folder, found)
    this.#files = files
    this.#retired = new RetiredFiles(async (file) => {
      // A range may be left long after: the file is then the business of who opened the folder next.
      if (this.#closed) return
      // What cannot be removed costs room and nothing else, and the next open tries again: no reason
      // to stop an app whose data is right.
      await files.remove(file).catch(() => undefined)
    })
    this.#sweeping = this.#sweep(found ?? [])
  }

  get(key: Buffer): Buffer | undefined {
    const stored = this.#pointers.get(key)
    if (stored === undefined) return undefined
    const pointer = decodeBlobPointer(stored)
    if (pointer === undefined) return stored
    try {
      return this.#files.readNow(pointer)
    } catch (error) {
      throw this.#explain(error)
    }
  }

  async write(writes: readonly DatabaseWrite[]): Promise<void> {
    const hasLarge = writes.some(({ value }) => value !== null && this.#needsFile(value))
    if (!hasLarge && this.#files.isEmpty) {
      await this.#pointers.write(writes)
      return
    }
    // A file that a later write of the same batch leaves without a pointer need not be written.
    const last = lastOfEachKey(writes)
    const replaced = this.#files.isEmpty ? [] : await this.#filesOf(last)
    const batch = hasLarge ? await this.#withPointers(last) : last
    // If this fails, LevelDB may find the batch in its log when it is opened again: the new files
    // stay, and so do those that they replace. The next open knows which of them are needed.
    await this.#pointers.write(batch)
    await this.#retired.retire(replaced)
  }

  range(range: KeyRange): AsyncIterable<readonly [Buffer, Buffer]> {
    const rows = this.#pointers.range(range)
    return this.#files.isEmpty ? rows : this.#whole(rows, this.#retired.pin())
  }

  keys(range: KeyRange): AsyncIterable<Buffer> {
    return this.#pointers.keys(range)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    await this.#sweeping
    await this.#pointers[Symbol.asyncDispose]()
  }

  #needsFile(value: Buffer): boolean {
    return value.length >= this.#blobBytes || looksLikePointer(value)
  }

  async *#whole(
    rows: AsyncIterable<readonly [Buffer, Buffer]>,
    pin: Pin,
  ): AsyncGenerator<readonly [Buffer, Buffer]> {
    try {
      for await (const [key, stored] of rows) {
        const pointer = decodeBlobPointer(stored)
        yield [key, pointer === undefined ? stored : await this.#read(pointer)]
      }
    } finally {
      await this.#retired.release(pin)
    }
  }

  async #read(pointer: BlobPointer): Promise<Buffer> {
    try {
      return await this.#files.read(pointer)
    } catch (error) {
      throw this.#explain(error)
    }
  }

  /** The files of the values that `writes` replace. */
  async #filesOf(writes: readonly DatabaseWrite[]): Promise<readonly number[]> {
    const files: number[] = []
    for (let from = 0; from < writes.length; from += LOOKUP_KEYS) {
      const keys = writes.slice(from, from + LOOKUP_KEYS).map(({ key }) => key)
      for (const stored of await this.#pointers.getMany(keys)) {
        const pointer = stored === undefined ? undefined : decodeBlobPointer(stored)
        if (pointer !== undefined) files.push(pointer.file)
      }
    }
    return files
  }

  /** `writes` with their large values in files. */
  async #withPointers(writes: readonly DatabaseWrite[]): Promise<readonly DatabaseWrite[]> {
    const batch = [...writes]
    const large: (() => Promise<void>)[] = []
    for (const [index, { key, value }] of writes.entries()) {
      if (value === null || !this.#needsFile(value)) continue
      large.push(async () => {
        batch[index] = { key, value: encodeBlobPointer(await this.#files.write(key, value)) }
      })
    }
    try {
      for (let from = 0; from < large.length; from += PARALLEL_FILES) {
        const group = large.slice(from, from + PARALLEL_FILES).map((write) => write())
        // All of them end before one's failure is told: nothing may write behind the caller's back.
        await Promise.allSettled(group)
        await Promise.all(group)
      }
    } catch (error) {
      const made = batch.filter((write, index) => write !== writes[index])
      for (const { value } of made) {
        const pointer = value === null ? undefined : decodeBlobPointer(value)
        if (pointer !== undefined) await this.#retired.retire([pointer.file])
      }
      throw this.#explain(error)
    }
    return batch
  }

  /** Removes the files of an earlier life that nothing points at. */
  async #sweep(found: readonly number[]): Promise<void> {
    try {
      for (const file of found) {
        if (this.#closed) return
        const key = await this.#files.keyOf(file)
        const stored = key === undefined ? undefined : this.#pointers.get(key)
        const pointer = stored === undefined ? undefined : decodeBlobPointer(stored)
        // Values written meanwhile have files of higher numbers, so this one can only lose its pointer.
        if (pointer?.file !== file) await this.#retired.retire([file])
      }
    } catch {
      // As with what cannot be removed. Damage to LevelDB shows, and is marked, where a value is read.
    }
  }
}

function lastOfEachKey(writes: readonly DatabaseWrite[]): readonly DatabaseWrite[] {
  const last = new Map<string, DatabaseWrite>()
  for (const write of writes) last.set(write.key.toString('latin1'), write)
  return last.size === writes.length ? writes : [...last.values()]
}
