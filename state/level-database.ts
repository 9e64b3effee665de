/**
 * LevelDB as the durable half of a task's state: the only file of state/ that knows `level`.
 *
 * Batches are written without fsync: what was acknowledged survives the death of the process, and
 * the checkpoint in the same batch covers the rest. Only a machine that goes down without a clean
 * close needs more, and state/directory.ts sees to that. Compression is off: the values are small
 * rows, or media that is compressed already.
 *
 * A database whose files are damaged is moved aside at open and replaced by an empty one, for it can
 * be restored; that is reported, never done in silence. Damage found while reading leaves a mark in
 * the folder, so that the next open moves it aside although LevelDB itself may be content.
 *
 * Large values lie in files of their own within the same folder: state/blob-database.ts.
 */
import { access, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { Level } from 'level'
import { makeFolder } from '../model/make-folder.ts'
import { openBlobDatabase, type PointerDatabase } from './blob-database.ts'
import { explained, isMarkedDamaged } from './damage.ts'
import type { OpenedDatabase } from './home.ts'
import { isCorruption, stateError } from './level-errors.ts'
import type { Database, DatabaseWrite, KeyRange } from './store.ts'

/** The knobs of LevelDB that matter here. */
export interface LevelDatabaseOptions {
  /**
   * Writes kept in memory before LevelDB sorts them into a table. Twelve tables may wait to be merged
   * before a write has to: so much, in bytes, can be restored at once. Larger is merged less often and
   * reopens more slowly. Default 16 MiB, as in Kafka Streams.
   */
  readonly writeBufferBytes?: number
  /** Bytes of blocks that LevelDB keeps in memory for reads. Default 8 MiB. */
  readonly cacheBytes?: number
  /** Size of LevelDB's files, of which it keeps a thousand open. Default 8 MiB. */
  readonly fileBytes?: number
  /** Size from which a value has a file of its own and LevelDB a pointer to it; Infinity for never. Default 256 KiB, from where a file costs no more time than a row. */
  readonly blobBytes?: number
}

const MIB = 1024 * 1024
const WRITE_BUFFER_BYTES = 16 * MIB
const CACHE_BYTES = 8 * MIB
const FILE_BYTES = 8 * MIB
const BLOB_BYTES = 256 * 1024
const BLOBS = 'blobs'
/** Rows an iterator brings over in one step, and the bytes after which a step ends early. */
const RANGE_ROWS = 256
const RANGE_BYTES = 256 * 1024

/**
 * Opens the LevelDB in `folder`, creating it and its parents. Rejects with MILLRACE_STATE_IN_USE,
 * MILLRACE_STATE_UNWRITABLE or MILLRACE_STATE_FULL. A damaged one is renamed to
 * `<folder>.corrupt-<n>` and an empty one is opened in its place: see `movedAsideTo`.
 */
export async function openLevelDatabase(
  folder: string,
  options: LevelDatabaseOptions = {},
): Promise<OpenedDatabase> {
  try {
    // Else LevelDB's binding makes it, by a recursive mkdir. Of two who open at the same time the lock lets one.
    await makeFolder(folder)
    if (isMarkedDamaged(folder)) return await replace(folder, options)
    try {
      return { database: await open(folder, options) }
    } catch (error) {
      if (!isCorruption(error)) throw error
      return await replace(folder, options)
    }
  } catch (error) {
    throw stateError(error, folder)
  }
}

async function replace(folder: string, options: LevelDatabaseOptions): Promise<OpenedDatabase> {
  let n = 1
  while (await exists(`${folder}.corrupt-${n}`)) n++
  const movedAsideTo = `${folder}.corrupt-${n}`
  await rename(folder, movedAsideTo)
  return { database: await open(folder, options), movedAsideTo }
}

type Root = Level<Buffer, Buffer>

async function open(folder: string, options: LevelDatabaseOptions): Promise<Database> {
  const root: Root = new Level(folder, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    compression: false,
    writeBufferSize: options.writeBufferBytes ?? WRITE_BUFFER_BYTES,
    cacheSize: options.cacheBytes ?? CACHE_BYTES,
    maxFileSize: options.fileBytes ?? FILE_BYTES,
  })
  await root.open()
  const pointers = new LevelDatabase(root, folder)
  try {
    return await openBlobDatabase({
      pointers,
      folder: join(folder, BLOBS),
      blobBytes: options.blobBytes ?? BLOB_BYTES,
      explain: (error) => explained(error, folder),
    })
  } catch (error) {
    await pointers[Symbol.asyncDispose]()
    throw error
  }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

class LevelDatabase implements PointerDatabase {
  readonly #root: Root
  readonly #folder: string

  constructor(root: Root, folder: string) {
    this.#root = root
    this.#folder = folder
  }

  get(key: Buffer): Buffer | undefined {
    try {
      return this.#root.getSync(key)
    } catch (error) {
      throw this.#explain(error)
    }
  }

  async getMany(keys: readonly Buffer[]): Promise<readonly (Buffer | undefined)[]> {
    try {
      return await this.#root.getMany([...keys])
    } catch (error) {
      throw this.#explain(error)
    }
  }

  async write(writes: readonly DatabaseWrite[]): Promise<void> {
    if (writes.length === 0) return
    try {
      // A chained batch hands each write to LevelDB as it comes: half the time on the main thread
      // of an array of operations, and no sublevels, whose prefixes would be added here again.
      const batch = this.#root.batch()
      for (const { key, value } of writes) {
        if (value === null) batch.del(key)
        else batch.put(key, value)
      }
      await batch.write()
    } catch (error) {
      throw this.#explain(error)
    }
  }

  range(range: KeyRange): AsyncIterable<readonly [Buffer, Buffer]> {
    // Made here and not inside the generator: LevelDB takes its snapshot with the iterator.
    const iterator = this.#root.iterator({ ...range, highWaterMarkBytes: RANGE_BYTES })
    return rows(iterator, (error) => this.#explain(error))
  }

  keys(range: KeyRange): AsyncIterable<Buffer> {
    const iterator = this.#root.keys({ ...range, highWaterMarkBytes: RANGE_BYTES })
    return rows(iterator, (error) => this.#explain(error))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#root.close()
  }

  #explain(error: unknown): Error {
    return explained(error, this.#folder)
  }
}

interface Rows<Row> {
  nextv(rows: number): Promise<readonly Row[]>
  close(): Promise<void>
}

async function* rows<Row>(
  iterator: Rows<Row>,
  explain: (error: unknown) => Error,
): AsyncGenerator<Row> {
  try {
    for (;;) {
      const found = await iterator.nextv(RANGE_ROWS)
      if (found.length === 0) return
      yield* found
    }
  } catch (error) {
    throw explain(error)
  } finally {
    await iterator.close()
  }
}
