/** kill -9 of a real process with a real LevelDB, again and again on the same folder. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { storePrefix } from '../../state/keys.ts'
import { TaskState } from '../../state/layers.ts'
import { openLevelDatabase } from '../../state/level-database.ts'
import { memoryDatabase } from '../../state/memory-database.ts'
import { handClock, temporaryFolder } from './fixtures.ts'
import { commitWrites, KEYS, replay, STORES, TOPIC_ID } from './kill-commit.ts'

const KILLS = 10
const CHILD = new URL('kill-child.ts', import.meta.url).pathname

/** What each key holds after each commit that wrote it, oldest first. */
type History = Map<string, { readonly n: number; readonly value: string | undefined }[]>

function extend(history: History, from: number, to: number): void {
  for (let n = from + 1; n <= to; n++) {
    for (const { store, key, value } of commitWrites(n)) {
      const slot = `${store}/${key.toString()}`
      const writes = history.get(slot) ?? []
      writes.push({ n, value: value?.toString('utf8', 8) })
      history.set(slot, writes)
    }
  }
}

describe.each([
  ['a state on LevelDB', Infinity],
  // Every sixth value of the child is larger.
  ['a state on LevelDB with files', 180],
])('%s', (_title, blobBytes) => {
  test(`is never ahead of the log and never behind its checkpoint, after each of ${KILLS} kills`, async () => {
    const folder = join(await temporaryFolder(), 'db')
    const history: History = new Map()
    let committed = 0
    let flushed = 0
    for (let kill = 0; kill < KILLS; kill++) {
      const before = committed
      const commits = 30 + ((kill * 977) % 900)
      committed = await runAndKill({ folder, from: before, commits, blobBytes })
      extend(history, before, committed)
      flushed += await check(folder, { committed, history, blobBytes })
      if (blobBytes < Infinity) await checkFiles(folder, blobBytes)
    }
    expect(committed).toBeGreaterThan(KILLS * 30)
    expect(flushed).toBeGreaterThan(0)
  })
})

/** No file is left of what the kill interrupted, and none is missing. */
async function checkFiles(folder: string, blobBytes: number): Promise<void> {
  const { database } = await openLevelDatabase(folder, { blobBytes })
  await using _ = database
  let large = 0
  for await (const [, value] of database.range({})) if (value.length >= blobBytes) large++
  expect(large).toBeGreaterThan(0)
  const files = (): Promise<string[]> => readdir(join(folder, 'blobs'))
  await expect.poll(files, { timeout: 5_000 }).toHaveLength(large)
}

/** Lets a process make `commits` or more of them, kills it, and gives the last commit that it made. */
async function runAndKill(run: {
  readonly folder: string
  readonly from: number
  readonly commits: number
  readonly blobBytes: number
}): Promise<number> {
  const { folder, from, commits, blobBytes } = run
  const arguments_ = [CHILD, folder, String(from), String(blobBytes)]
  const child = spawn(process.execPath, arguments_, { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  let lines = ''
  child.stdout.setEncoding('utf8')
  for await (const chunk of child.stdout) {
    lines += String(chunk)
    if (lastLine(lines, from) >= from + commits) child.kill('SIGKILL')
  }
  expect(await exited).toEqual([null, 'SIGKILL'])
  return lastLine(lines, from)
}

function lastLine(lines: string, otherwise: number): number {
  // A line without its end was cut by the kill: that commit did not reach the log.
  const line = lines.split('\n').at(-2)
  return line === undefined ? otherwise : Number(line)
}

/** Checks the folder as the kill left it, then after a replay; gives the commits that need no replay. */
async function check(
  folder: string,
  world: { committed: number; history: History; blobBytes: number },
): Promise<number> {
  const { committed, history, blobBytes } = world
  const { database, movedAsideTo } = await openLevelDatabase(folder, { blobBytes })
  await using _ = database
  expect(movedAsideTo).toBeUndefined()
  const parts = { stores: STORES, database, volatileDatabase: memoryDatabase(), clock: handClock() }
  const left = new TaskState(parts)
  const checkpoints = STORES.map(({ name }) => left.checkpoint(name))
  for (const [index, { name }] of STORES.entries()) {
    const from = checkpoints[index]?.offset ?? 0
    expect(from).toBeLessThanOrEqual(committed)
    for (let k = 0; k < KEYS; k++) {
      const writes = history.get(`${name}/key${k}`) ?? []
      const allowed = [
        writes.findLast(({ n }) => n <= from)?.value,
        ...writes.filter(({ n }) => n > from).map(({ value }) => value),
      ]
      const key = Buffer.concat([storePrefix(name), Buffer.from(`key${k}`)])
      expect(allowed).toContain(database.get(key)?.toString('utf8', 8))
    }
    expect(checkpoints[index]?.topicId ?? TOPIC_ID).toBe(TOPIC_ID)
  }
  const restored = new TaskState(parts)
  await replay(restored, committed)
  for (const { name } of STORES) {
    for (let k = 0; k < KEYS; k++) {
      const found = restored
        .store(name)
        .get(Buffer.from(`key${k}`))
        ?.toString('utf8', 8)
      expect(found).toBe(history.get(`${name}/key${k}`)?.at(-1)?.value)
    }
  }
  await restored.flush()
  return checkpoints[0]?.offset ?? 0
}
