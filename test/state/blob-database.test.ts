/** Large values in files beside LevelDB: where they are, when they go, and what damage does. */
import { mkdir, open, readdir, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { encodeBlobPointer } from '../../state/blob-pointer.ts'
import { openLevelDatabase } from '../../state/level-database.ts'
import { removeRange } from '../../state/removal.ts'
import { SLICE_LIMITS } from '../../state/slices.ts'
import type { Database, DatabaseWrite } from '../../state/store.ts'
import { handClock, temporaryFolder } from './fixtures.ts'

const BLOB_BYTES = 1_000
const OPTIONS = { blobBytes: BLOB_BYTES }

interface Place extends AsyncDisposable {
  readonly folder: string
  readonly database: Database
  readonly movedAsideTo: string | undefined
  files(): Promise<readonly string[]>
}

async function openIn(folder: string): Promise<Place> {
  const { database, movedAsideTo } = await openLevelDatabase(folder, OPTIONS)
  const files = async (): Promise<readonly string[]> =>
    await readdir(join(folder, 'blobs')).catch(() => [])
  const dispose = async (): Promise<void> => {
    await database[Symbol.asyncDispose]()
  }
  return { folder, database, movedAsideTo, files, [Symbol.asyncDispose]: dispose }
}

async function openNew(): Promise<Place> {
  return await openIn(join(await temporaryFolder(), 'db'))
}

async function reopen(place: Place): Promise<Place> {
  await place[Symbol.asyncDispose]()
  return await openIn(place.folder)
}

function put(key: string, bytes: number, fill = 7): DatabaseWrite {
  return { key: Buffer.from(key), value: Buffer.alloc(bytes, fill) }
}

function del(key: string): DatabaseWrite {
  return { key: Buffer.from(key), value: null }
}

function read(database: Database, key: string): readonly [bytes: number, fill: number] | undefined {
  const value = database.get(Buffer.from(key))
  return value === undefined ? undefined : [value.length, value.at(-1) ?? 0]
}

async function list(rows: AsyncIterable<readonly [Buffer, Buffer]>): Promise<string[]> {
  const found: string[] = []
  for await (const [key, value] of rows)
    found.push(`${key.toString()}=${value.length}*${value.at(-1) ?? 0}`)
  return found
}

async function only(place: Place): Promise<string> {
  const files = await place.files()
  expect(files).toHaveLength(1)
  return join(place.folder, 'blobs', files[0] ?? '')
}

describe('a value in a database with files', () => {
  test('has a file from the threshold on, and a row below it', async () => {
    await using place = await openNew()
    await place.database.write([put('small', BLOB_BYTES - 1)])
    expect(await place.files()).toHaveLength(0)
    await place.database.write([put('large', BLOB_BYTES)])
    expect(await place.files()).toHaveLength(1)
    expect(read(place.database, 'large')).toEqual([BLOB_BYTES, 7])
  })
  test('takes its file along when it is replaced, shrinks or is deleted', async () => {
    await using place = await openNew()
    const { database } = place
    await database.write([put('a', 2_000, 1), put('b', 2_000, 1), put('c', 2_000, 1)])
    expect(await place.files()).toHaveLength(3)
    await database.write([put('a', 3_000, 2), put('b', 10, 2), del('c')])
    expect(await place.files()).toHaveLength(1)
    expect(await list(database.range({}))).toEqual(['a=3000*2', 'b=10*2'])
    await database.write([del('a')])
    expect(await place.files()).toHaveLength(0)
  })
  test('that the same batch replaces never gets a file', async () => {
    await using place = await openNew()
    await place.database.write([put('a', 2_000, 1), put('a', 2_000, 2), put('b', 2_000), del('b')])
    expect(await place.files()).toHaveLength(1)
    expect(read(place.database, 'a')).toEqual([2_000, 2])
    expect(read(place.database, 'b')).toBeUndefined()
  })
  test('that looks like a pointer is given back as it was put', async () => {
    await using place = await openNew()
    const value = encodeBlobPointer({ file: 1, offset: 2, length: 3, crc: 4 })
    await place.database.write([{ key: Buffer.from('a'), value }])
    expect(place.database.get(Buffer.from('a'))).toEqual(value)
    expect(await place.files()).toHaveLength(1)
    for await (const [, found] of place.database.range({})) expect(found).toEqual(value)
  })
  test('with a key of any length is there when the database is opened again', async () => {
    const place = await openNew()
    const keys = ['', 'k', 'k'.repeat(504), 'k'.repeat(505), 'k'.repeat(70_000)]
    await place.database.write(keys.map((key, n) => put(key, 2_000, n + 1)))
    await using again = await reopen(place)
    expect(keys.map((key) => read(again.database, key)?.[1])).toEqual([1, 2, 3, 4, 5])
    await using third = await reopen(again)
    expect(await third.files()).toHaveLength(5)
  })
})

describe('a range over a database with files', () => {
  test('reads what was replaced or deleted since it was asked for, and lets it go then', async () => {
    await using place = await openNew()
    const { database } = place
    await database.write([put('a', 2_000, 1), put('b', 2_000, 1)])
    const before = database.range({})
    await database.write([put('a', 2_000, 2), del('b')])
    const after = database.range({})
    await database.write([del('a')])
    expect(await list(database.range({}))).toEqual([])
    expect(await place.files()).toHaveLength(3)
    expect(await list(after)).toEqual(['a=2000*2'])
    expect(await list(before)).toEqual(['a=2000*1', 'b=2000*1'])
    expect(await place.files()).toHaveLength(0)
  })
  test('lets go of the files also where it is left in the middle', async () => {
    await using place = await openNew()
    await place.database.write([put('a', 2_000, 1), put('b', 2_000, 1)])
    for await (const _ of place.database.range({})) {
      await place.database.write([del('a'), del('b')])
      expect(await place.files()).toHaveLength(2)
      break
    }
    expect(await place.files()).toHaveLength(0)
  })
  test('can be removed without a look at the values', async () => {
    await using place = await openNew()
    await place.database.write([put('a', 2_000), put('b', 2_000), put('c', 10)])
    for (const name of await place.files()) await truncate(join(place.folder, 'blobs', name), 100)
    const removal = { limits: SLICE_LIMITS, clock: handClock(), isClosed: () => false }
    await removeRange(place.database, {}, removal)
    expect(await list(place.database.range({}))).toEqual([])
    expect(await place.files()).toHaveLength(0)
  })
})

describe('a database with files, opened again,', () => {
  test('removes files that nothing points at, whole or not, and no other', async () => {
    const place = await openNew()
    await place.database.write([put('a', 2_000, 1), put('b', 2_000, 2), put('c', 10)])
    await place[Symbol.asyncDispose]()
    const blobs = join(place.folder, 'blobs')
    const plant = async (number: number, key: string, bytes: number): Promise<void> => {
      const head = Buffer.alloc(8)
      head.write('MRB1')
      head.writeUInt32BE(key.length, 4)
      const whole = Buffer.concat([head, Buffer.from(key), Buffer.alloc(bytes)])
      await writeFile(join(blobs, `${String(number).padStart(12, '0')}.blob`), whole)
    }
    await plant(50, 'a', 2_000)
    await plant(51, 'c', 2_000)
    await plant(52, 'unknown', 0)
    await writeFile(join(blobs, '000000000053.blob'), '')
    await writeFile(join(blobs, '000000000054.blob'), Buffer.from('4d524231ffffffff', 'hex'))
    await using again = await openIn(place.folder)
    await again.database.write([put('d', 2_000, 4)])
    await expect.poll(() => again.files(), { timeout: 5_000 }).toHaveLength(3)
    expect(again.movedAsideTo).toBeUndefined()
    expect(['a', 'b', 'd'].map((key) => read(again.database, key)?.[1])).toEqual([1, 2, 4])
  })
  test('writes no new file over one that it has not looked at yet', async () => {
    const place = await openNew()
    await place[Symbol.asyncDispose]()
    await mkdir(join(place.folder, 'blobs'))
    await writeFile(join(place.folder, 'blobs', '000000000009.blob'), 'torn')
    await using again = await openIn(place.folder)
    await again.database.write([put('a', 2_000)])
    expect(await again.files()).toContain('000000000010.blob')
  })
})

const damages: readonly (readonly [string, (path: string) => Promise<void>])[] = [
  ['missing', (path) => rm(path)],
  ['cut short', (path) => truncate(path, 500)],
  ['empty', (path) => truncate(path, 0)],
  [
    'changed in one byte',
    async (path) => {
      await using file = await open(path, 'r+')
      await file.write(Buffer.of(8), 0, 1, 1_234)
    },
  ],
]

describe.each(damages)('a file that is %s', (_what, damage) => {
  test('makes the database damaged: reads say so, and the next open moves it aside', async () => {
    const place = await openNew()
    await place.database.write([put('a', 2_000), put('b', 10)])
    const path = await only(place)
    await damage(path)
    const corrupt = { code: 'MILLRACE_STATE_CORRUPT', place: path }
    expect(() => read(place.database, 'a')).toThrow(expect.objectContaining(corrupt))
    await expect(list(place.database.range({}))).rejects.toMatchObject(corrupt)
    expect(read(place.database, 'b')).toEqual([10, 7])
    const again = await reopen(place)
    expect(again.movedAsideTo).toBe(`${place.folder}.corrupt-1`)
    expect(await readdir(again.movedAsideTo ?? '')).toContain('blobs')
    expect(read(again.database, 'b')).toBeUndefined()
    await again.database.write([put('a', 3_000)])
    await using third = await reopen(again)
    expect(third.movedAsideTo).toBeUndefined()
    expect(read(third.database, 'a')).toEqual([3_000, 7])
  })
})
