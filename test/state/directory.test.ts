import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { openStateDirectory } from '../../state/directory.ts'
import { MemoryHome, type StateHome } from '../../state/home.ts'
import { handClock, temporaryFolder } from './fixtures.ts'

const clock = handClock()
const row = { key: Buffer.from('key'), value: Buffer.from('value') }

function options(stateDir: string, changes: Record<string, unknown> = {}) {
  return {
    stateDir,
    applicationId: 'app',
    unit: '0-of-1',
    fingerprint: 'f1',
    clock,
    bootId: 'boot 1',
    ...changes,
  }
}

async function writeRow(home: StateHome): Promise<void> {
  const { database } = await home.openTask('0_0')
  await database.write([row])
  await database[Symbol.asyncDispose]()
}

async function readRow(home: StateHome): Promise<string | undefined> {
  const { database } = await home.openTask('0_0')
  await using _ = database
  return database.get(row.key)?.toString()
}

/** Leaves the folder as a kill would: a copy is never closed. */
async function leaveUnclean(stateDir: string): Promise<void> {
  const path = join(stateDir, 'app', '0-of-1', 'unit.json')
  const unit = JSON.parse(await readFile(path, 'utf8')) as object
  await writeFile(path, JSON.stringify({ ...unit, closedCleanly: false }))
}

describe('the folder of a commit unit', () => {
  test('keeps its tasks and its process id from one run to the next', async () => {
    const stateDir = await temporaryFolder()
    const first = await openStateDirectory(options(stateDir))
    await writeRow(first)
    await first[Symbol.asyncDispose]()
    await using second = await openStateDirectory(options(stateDir, { bootId: 'boot 2' }))
    expect(second.dropped).toBeUndefined()
    expect(second.processId).toBe(first.processId)
    expect(second.place).toBe(join(stateDir, 'app', '0-of-1'))
    expect(await readRow(second)).toBe('value')
  })
  test('is refused to a second process, with folder and process id, and free once that one was killed', async () => {
    const stateDir = await temporaryFolder()
    const script = new URL('directory-child.ts', import.meta.url).pathname
    const child = spawn(process.execPath, [script, stateDir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    await once(child.stdout, 'data')
    const refused = openStateDirectory(options(stateDir))
    await expect(refused).rejects.toMatchObject({ code: 'MILLRACE_STATE_IN_USE' })
    await expect(refused).rejects.toThrow(
      `${join(stateDir, 'app', '0-of-1')} is in use by process ${child.pid}`,
    )
    child.kill('SIGKILL')
    await once(child, 'exit')
    await using home = await openStateDirectory(options(stateDir))
    expect(home.dropped).toBeUndefined()
    expect(await readRow(home)).toBe('value')
  })
  test('is refused to a second open in the same process', async () => {
    const stateDir = await temporaryFolder()
    await using _ = await openStateDirectory(options(stateDir))
    await expect(openStateDirectory(options(stateDir))).rejects.toMatchObject({
      code: 'MILLRACE_STATE_IN_USE',
    })
  })
  test('is not trusted when the machine went down while it was open', async () => {
    const stateDir = await temporaryFolder()
    const first = await openStateDirectory(options(stateDir))
    await writeRow(first)
    await first[Symbol.asyncDispose]()
    await leaveUnclean(stateDir)
    const second = await openStateDirectory(options(stateDir, { bootId: 'boot 2' }))
    expect(second.dropped).toMatch(/went down .* restored from the changelogs/)
    expect(second.processId).toBe(first.processId)
    expect(await readRow(second)).toBeUndefined()
    await second[Symbol.asyncDispose]()
    await using third = await openStateDirectory(options(stateDir, { bootId: 'boot 3' }))
    expect(third.dropped).toBeUndefined()
  })
  test.each([
    ['application', { applicationId: 'other' }, /Choose another state folder/],
    ['topology', { fingerprint: 'f2' }, /run `millrace reset`.*application id.*delete this folder/],
  ])('of another %s is refused with a remedy, and left as it was', async (_, changes, remedy) => {
    const stateDir = await temporaryFolder()
    const first = await openStateDirectory(options(stateDir))
    await writeRow(first)
    await first[Symbol.asyncDispose]()
    const path = join(stateDir, 'app', '0-of-1', 'unit.json')
    const unit = JSON.parse(await readFile(path, 'utf8')) as object
    await writeFile(path, JSON.stringify({ ...unit, ...changes }))
    const refused = openStateDirectory(options(stateDir))
    await expect(refused).rejects.toMatchObject({ code: 'MILLRACE_STATE_FOREIGN' })
    await expect(refused).rejects.toThrow(remedy)
    await writeFile(path, JSON.stringify(unit))
    await using again = await openStateDirectory(options(stateDir))
    expect(await readRow(again)).toBe('value')
  })
  test('whose description is damaged is an error and no guess', async () => {
    const stateDir = await temporaryFolder()
    await (await openStateDirectory(options(stateDir)))[Symbol.asyncDispose]()
    await writeFile(join(stateDir, 'app', '0-of-1', 'unit.json'), '{')
    await expect(openStateDirectory(options(stateDir))).rejects.toMatchObject({
      code: 'MILLRACE_STATE_CORRUPT',
    })
  })
  test('that cannot be made, because its parent is a file, is an error with place and remedy', async () => {
    const stateDir = join(await temporaryFolder(), 'file')
    await writeFile(stateDir, '')
    const refused = openStateDirectory(options(stateDir))
    await expect(refused).rejects.toMatchObject({
      code: 'MILLRACE_STATE_UNWRITABLE',
      place: join(stateDir, 'app', '0-of-1'),
    })
    await expect(refused).rejects.toThrow(/Choose a folder/)
    expect(await readdir(join(stateDir, '..'))).toEqual(['file'])
  })
  test('lists its tasks, and removes one that is closed, for good', async () => {
    const stateDir = await temporaryFolder()
    await using home = await openStateDirectory(options(stateDir))
    await writeRow(home)
    const { database } = await home.openTask('1_12')
    expect(await home.tasks()).toEqual(['0_0', '1_12'])
    expect(await home.removeTask('1_12')).toBe(false)
    expect(await home.removeTask('0_0')).toBe(true)
    expect(await home.removeTask('0_0')).toBe(true)
    expect(await home.tasks()).toEqual(['1_12'])
    expect(await readdir(join(home.place, 'tasks'))).toEqual(['1_12'])
    await database[Symbol.asyncDispose]()
    await home.removeTask('1_12')
    expect(await home.tasks()).toEqual([])
  })
  test('gives an empty database to who opens a task that is being removed', async () => {
    const stateDir = await temporaryFolder()
    await using home = await openStateDirectory(options(stateDir))
    await writeRow(home)
    const removed = home.removeTask('0_0')
    expect(await readRow(home)).toBeUndefined()
    await removed
    expect(await home.tasks()).toEqual(['0_0'])
  })
  test('goes on with a removal that a crash interrupted, and keeps what was moved aside', async () => {
    const stateDir = await temporaryFolder()
    const first = await openStateDirectory(options(stateDir))
    await writeRow(first)
    await first[Symbol.asyncDispose]()
    const tasks = join(stateDir, 'app', '0-of-1', 'tasks')
    await rename(join(tasks, '0_0'), join(tasks, '0_0.removed'))
    await mkdir(join(tasks, '0_0.corrupt-1'))
    await using home = await openStateDirectory(options(stateDir))
    expect(await home.tasks()).toEqual([])
    expect(await readdir(tasks)).toEqual(['0_0.corrupt-1'])
  })
})

describe('a home in memory', () => {
  test('lists and removes tasks as a folder does', async () => {
    const home = new MemoryHome({ processId: 'p' })
    await writeRow(home)
    const { database } = await home.openTask('0_1')
    expect(await home.tasks()).toEqual(['0_0', '0_1'])
    expect(await home.removeTask('0_1')).toBe(false)
    await database[Symbol.asyncDispose]()
    expect(await home.removeTask('0_1')).toBe(true)
    await home.removeTask('0_0')
    expect(await home.tasks()).toEqual([])
    expect(await readRow(home)).toBeUndefined()
  })
})
