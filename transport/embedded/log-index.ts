/**
 * The LevelDB beside the segment files: whatever must change at one instant changes in one batch of
 * it. Batches are written one at a time, because two that are not awaited may be reordered; changes
 * that wait meanwhile go together into the next batch, in their order. After a failed write it is not
 * known what LevelDB has, so nothing more is written until the log was opened again.
 */
import { Level } from 'level'
import { asError } from '../../model/errors.ts'
import type { TransportError } from '../errors.ts'
import { logClosed } from '../log-errors.ts'
import { diskError, indexDamaged, indexError } from './folder-errors.ts'

/** One row to put, or to remove where `value` is undefined. Values are JSON. */
export interface RowChange {
  readonly key: string
  readonly value: unknown
}

interface Waiting {
  readonly rows: readonly RowChange[]
  readonly sync: boolean
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** Bytes that a scan brings from LevelDB at a time. */
const SCAN_BYTES = 1024 * 1024
/** Above every character of the keys that this folder's files make. */
const AFTER_PREFIX = '\uffff'

/** The rows of one embedded log. */
export class LogIndex {
  readonly #database: Level<string, unknown>
  readonly #path: string
  readonly #batchRows: number
  readonly #waiting: Waiting[] = []
  #draining: Promise<void> | undefined
  #failure: TransportError | undefined

  private constructor(database: Level<string, unknown>, path: string, batchRows: number) {
    this.#database = database
    this.#path = path
    this.#batchRows = batchRows
  }

  /** Opens the database; undefined where another opened log holds it. */
  static async open(path: string, batchRows: number): Promise<LogIndex | undefined> {
    const database = new Level<string, unknown>(path, { valueEncoding: 'json' })
    try {
      await database.open()
    } catch (error) {
      if (error instanceof Error && codeOf(error.cause) === 'LEVEL_LOCKED') return undefined
      throw readError(error instanceof Error ? (error.cause ?? error) : error, path)
    }
    return new LogIndex(database, path, batchRows)
  }

  /** Writes all of `rows` or none, after everything that was handed over before. */
  write(rows: readonly RowChange[], { sync }: { readonly sync: boolean }): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ rows, sync, resolve, reject })
      this.#draining ??= this.#drain()
    })
  }

  /** The row of a key, or undefined. */
  async read(key: string): Promise<unknown> {
    try {
      return await this.#database.get(key)
    } catch (error) {
      throw readError(error, this.#path)
    }
  }

  /** The rows whose keys begin with `prefix`, in the order of their keys: what follows the prefix, and the value. */
  async list(
    prefix: string,
    { from = '', before = AFTER_PREFIX }: { readonly from?: string; readonly before?: string } = {},
  ): Promise<(readonly [string, unknown])[]> {
    const range = { gte: prefix + from, lt: prefix + before }
    try {
      const rows = this.#database.iterator({ ...range, highWaterMarkBytes: SCAN_BYTES })
      return (await rows.all()).map(([key, value]) => [key.slice(prefix.length), value] as const)
    } catch (error) {
      throw readError(error, this.#path)
    }
  }

  /** Waits for what was handed over, then closes the database. */
  async close(): Promise<void> {
    await this.#draining
    this.#failure ??= logClosed(`embedded log in ${this.#path}`)
    await this.#database.close()
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const together = this.#next()
      const operations = together.flatMap(({ rows }) => rows.map(operation))
      try {
        await this.#database.batch(operations, { sync: together.some(({ sync }) => sync) })
      } catch (error) {
        this.#fail(indexError(error, this.#path), together)
        break
      }
      for (const { resolve } of together) resolve()
    }
    this.#draining = undefined
  }

  #next(): readonly Waiting[] {
    let rows = 0
    let count = 0
    for (const each of this.#waiting) {
      rows += each.rows.length
      if (count > 0 && rows > this.#batchRows) break
      count += 1
    }
    return this.#waiting.splice(0, count)
  }

  #fail(failure: TransportError, together: readonly Waiting[]): void {
    this.#failure = failure
    for (const { reject } of [...together, ...this.#waiting.splice(0)]) reject(failure)
  }
}

type Operation =
  | { readonly type: 'put'; readonly key: string; readonly value: unknown }
  | { readonly type: 'del'; readonly key: string }

function operation({ key, value }: RowChange): Operation {
  return value === undefined ? { type: 'del', key } : { type: 'put', key, value }
}

function readError(error: unknown, path: string): TransportError {
  const { message } = asError(error)
  const isDamaged = codeOf(error) === 'LEVEL_CORRUPTION' || message.startsWith('Corruption')
  return isDamaged ? indexDamaged(message, path, error) : diskError(error, path)
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined
}
