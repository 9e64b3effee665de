/**
 * A database with files against a model: random batches of values on both sides of the threshold,
 * ranges that are read long after they were asked for, and reopening. What is read equals the model
 * as of then, and in the end there are as many files as large values.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openLevelDatabase } from '../../state/level-database.ts'
import type { Database, DatabaseWrite } from '../../state/store.ts'
import { drawnSeed } from '../seed.ts'
import { temporaryFolder } from './fixtures.ts'
import { seeded } from './fixtures-random.ts'

const BLOB_BYTES = 100
const KEYS = 12

type Contents = Map<string, string>
type Row = readonly [Buffer, Buffer]

/** A range that is being read, and what it must give. */
interface OpenRange {
  readonly rows: AsyncIterator<Row>
  readonly expected: (readonly [string, string])[]
}

class Run {
  readonly random: (below: number) => number
  readonly folder: string
  database: Database
  contents: Contents = new Map()
  ranges: OpenRange[] = []

  constructor(seed: number, folder: string, database: Database) {
    this.random = seeded(seed)
    this.folder = folder
    this.database = database
  }

  async write(step: number): Promise<void> {
    const writes: DatabaseWrite[] = []
    for (let n = this.random(6); n >= 0; n--) {
      const key = `key${this.random(KEYS)}`
      if (this.random(4) === 0) {
        writes.push({ key: Buffer.from(key), value: null })
        this.contents.delete(key)
      } else {
        const value = `${step}/${n}/`.padEnd(this.random(BLOB_BYTES * 2), 'x')
        writes.push({ key: Buffer.from(key), value: Buffer.from(value) })
        this.contents.set(key, value)
      }
    }
    await this.database.write(writes)
  }

  read(): void {
    for (let n = 0; n < KEYS; n++) {
      const found = this.database.get(Buffer.from(`key${n}`))?.toString()
      expect(found).toBe(this.contents.get(`key${n}`))
    }
  }

  openRange(): void {
    const rows = this.database.range({})[Symbol.asyncIterator]()
    const expected = [...this.contents].toSorted(([a], [b]) => (a < b ? -1 : 1))
    this.ranges.push({ rows, expected })
  }

  /** Reads one row of one range; some ranges are left before their end. */
  async readOn(): Promise<void> {
    const index = this.random(this.ranges.length)
    const range = this.ranges[index]
    if (range === undefined) return
    const next = await range.rows.next()
    const row = range.expected.shift()
    const found = next.done === true ? undefined : next.value.map(String)
    expect(found).toEqual(row)
    if (next.done === true || this.random(30) === 0) {
      await range.rows.return?.()
      this.ranges.splice(index, 1)
    }
  }

  /** Also with ranges open, as an app that stops may leave them. */
  async reopen(): Promise<void> {
    await this.database[Symbol.asyncDispose]()
    this.ranges = []
    const { database, movedAsideTo } = await openLevelDatabase(this.folder, {
      blobBytes: BLOB_BYTES,
    })
    expect(movedAsideTo).toBeUndefined()
    this.database = database
  }

  async go(steps: number): Promise<void> {
    for (let step = 1; step <= steps; step++) {
      const kind = this.random(100)
      if (kind < 40) await this.write(step)
      else if (kind < 60) this.read()
      else if (kind < 66) this.openRange()
      else if (kind < 97) await this.readOn()
      else await this.reopen()
    }
    this.read()
    await this.reopen()
    const large = [...this.contents.values()].filter(({ length }) => length >= BLOB_BYTES)
    const files = (): Promise<string[]> => readdir(join(this.folder, 'blobs'))
    await expect.poll(files, { timeout: 5_000 }).toHaveLength(large.length)
    this.read()
    await this.database[Symbol.asyncDispose]()
  }
}

describe('a database with files', () => {
  const first = drawnSeed(1_000_000)
  test(`equals its model through random batches, ranges and reopening (MILLRACE_SEED=${first})`, async () => {
    for (let seed = first; seed < first + 8; seed++) {
      const folder = join(await temporaryFolder(), 'db')
      const { database } = await openLevelDatabase(folder, { blobBytes: BLOB_BYTES })
      try {
        await new Run(seed, folder, database).go(400)
      } catch (error) {
        throw new Error(`with MILLRACE_SEED=${seed}`, { cause: error })
      }
    }
  })
})
