import { chmod, mkdir, readdir, writeFile, open, rm } from 'node:fs/promises'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openLevelDatabase } from '../../state/level-database.ts'
import { temporaryFolder } from './fixtures.ts'

const row = { key: Buffer.from('key'), value: Buffer.from('value') }

async function fill(folder: string): Promise<void> {
  const { database } = await openLevelDatabase(folder, { writeBufferBytes: 64 * 1024 })
  for (let n = 0; n < 40; n++) {
    await database.write([{ key: Buffer.from(`key${n}`), value: Buffer.alloc(10_000, n + 1) }])
  }
  await database[Symbol.asyncDispose]()
}

async function damage(path: string, at: (size: number) => number): Promise<void> {
  await using file = await open(path, 'r+')
  const { size } = await file.stat()
  await file.write(Buffer.alloc(48, 0xff), 0, 48, at(size))
}

describe('a LevelDB folder', () => {
  test('that is open already is refused, and says so', async () => {
    const folder = join(await temporaryFolder(), 'deep', 'er')
    const { database } = await openLevelDatabase(folder)
    await using _ = database
    await expect(openLevelDatabase(folder)).rejects.toMatchObject({
      code: 'MILLRACE_STATE_IN_USE',
      place: folder,
    })
  })
  test('that two open at once has one holder, and the other is told so', async () => {
    const folder = join(await temporaryFolder(), 'both')
    const opened = await Promise.allSettled([openLevelDatabase(folder), openLevelDatabase(folder)])
    const codes = opened.map((one) => {
      return one.status === 'fulfilled' ? 'open' : (one.reason as { code: string }).code
    })
    expect(codes.toSorted()).toEqual(['MILLRACE_STATE_IN_USE', 'open'])
    for (const one of opened) {
      if (one.status === 'fulfilled') await one.value.database[Symbol.asyncDispose]()
    }
  })
  test('whose parent is a file is refused with place and remedy', async () => {
    const parent = join(await temporaryFolder(), 'file')
    await writeFile(parent, '')
    const refused = openLevelDatabase(join(parent, 'db'))
    await expect(refused).rejects.toMatchObject({
      code: 'MILLRACE_STATE_UNWRITABLE',
      place: join(parent, 'db'),
    })
    await expect(refused).rejects.toThrow(/Choose a folder/)
  })
  test('that may not be written is refused', async () => {
    // Root may write everywhere but where the kernel itself says no.
    const parent = process.getuid?.() === 0 ? '/proc' : await temporaryFolder()
    if (parent !== '/proc') await chmod(parent, 0o500)
    const refused = openLevelDatabase(join(parent, 'db'))
    await expect(refused).rejects.toMatchObject({ code: 'MILLRACE_STATE_UNWRITABLE' })
    if (parent !== '/proc') await chmod(parent, 0o700)
  })
  test('with a damaged manifest is moved aside and replaced by an empty one', async () => {
    const folder = join(await temporaryFolder(), 'db')
    await fill(folder)
    await writeFile(join(folder, 'CURRENT'), 'garbage')
    const { database, movedAsideTo } = await openLevelDatabase(folder)
    await using _ = database
    expect(movedAsideTo).toBe(`${folder}.corrupt-1`)
    expect(await readdir(`${folder}.corrupt-1`)).toContain('CURRENT')
    expect(database.get(Buffer.from('key1'))).toBeUndefined()
  })
  test('that lost a table is moved aside under the next free number', async () => {
    const folder = join(await temporaryFolder(), 'db')
    await fill(folder)
    await mkdir(`${folder}.corrupt-1`)
    const table = (await readdir(folder)).find((name) => name.endsWith('.ldb')) ?? ''
    await rm(join(folder, table))
    const { database, movedAsideTo } = await openLevelDatabase(folder)
    await database[Symbol.asyncDispose]()
    expect(movedAsideTo).toBe(`${folder}.corrupt-2`)
  })
  test('in which a read meets damage is moved aside by the next open', async () => {
    const folder = join(await temporaryFolder(), 'db')
    await fill(folder)
    for (const name of await readdir(folder)) {
      if (name.endsWith('.ldb')) await damage(join(folder, name), (size) => size - 48)
    }
    const first = await openLevelDatabase(folder)
    expect(first.movedAsideTo).toBeUndefined()
    expect(() => {
      for (let n = 0; n < 40; n++) first.database.get(Buffer.from(`key${n}`))
    }).toThrow(expect.objectContaining({ code: 'MILLRACE_STATE_CORRUPT' }))
    await first.database[Symbol.asyncDispose]()
    const second = await openLevelDatabase(folder)
    await second.database.write([row])
    await second.database[Symbol.asyncDispose]()
    expect(second.movedAsideTo).toBe(`${folder}.corrupt-1`)
    const third = await openLevelDatabase(folder)
    await using _ = third.database
    expect(third.movedAsideTo).toBeUndefined()
    expect(third.database.get(row.key)).toEqual(row.value)
  })
  test('on a disk that is full fails the write and keeps what was acknowledged', async () => {
    const folder = join(await temporaryFolder(), 'db')
    const acknowledged = fillDisk(folder, 'rows')
    const { database, movedAsideTo } = await openLevelDatabase(folder)
    await using _ = database
    expect(movedAsideTo).toBeUndefined()
    for (let n = 0; n < acknowledged; n++)
      expect(database.get(Buffer.from(`key${n}`))).toHaveLength(100_000)
  })
  test('on a disk too full for the file of a value leaves no part of it', async () => {
    const folder = join(await temporaryFolder(), 'db')
    const acknowledged = fillDisk(folder, 'files')
    expect(await readdir(join(folder, 'blobs'))).toHaveLength(acknowledged)
    const { database, movedAsideTo } = await openLevelDatabase(folder)
    await using _ = database
    expect(movedAsideTo).toBeUndefined()
    for (let n = 0; n < acknowledged; n++)
      expect(database.get(Buffer.from(`key${n}`))).toHaveLength(100_000 * (n + 1))
    expect(database.get(Buffer.from(`key${acknowledged}`))).toBeUndefined()
  })
})

/** Lets a process write under a limit of 2 MiB a file; gives the writes that were acknowledged. */
function fillDisk(folder: string, where: 'rows' | 'files'): number {
  const child = new URL('full-disk-child.ts', import.meta.url).pathname
  const limited = spawnSync(
    'bash',
    ['-c', `ulimit -f 2048; exec "$0" "$@"`, process.execPath, child, folder, where],
    { encoding: 'utf8' },
  )
  expect(limited.stderr).toBe('')
  const { code, message, acknowledged } = JSON.parse(limited.stdout) as {
    code: string
    message: string
    acknowledged: number
  }
  expect(code).toBe('MILLRACE_STATE_FULL')
  expect(message).toContain(folder)
  expect(acknowledged).toBeGreaterThan(0)
  return acknowledged
}
