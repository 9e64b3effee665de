/** What is said of a process whose event loop stands still, while it does. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sleep } from '../../model/clock.ts'
import { watchLoop } from '../../runtime/loop-watch.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { endWithTest } from '../end-with-tests.ts'

const PROGRAM = fileURLToPath(new URL('./still-process.ts', import.meta.url))
const AFTER_MS = 500
/** Far more than a thread needs. */
const BEATS_TO_BEGIN = 40
const LINE = 'it stands still\n'

const clock = systemClock()
let folder = ''

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-still-'))
})

afterAll(async () => await rm(folder, { recursive: true }))

/** A watched process, what it said, and a way to wait for that. */
function startWatched(graceMs?: number) {
  const limits = graceMs === undefined ? [AFTER_MS] : [AFTER_MS, graceMs]
  const child = endWithTest(
    spawn(process.execPath, [PROGRAM, ...limits.map(String)], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, NODE_OPTIONS: '' },
    }),
  )
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => (said[name] += text))
  }
  const closed = once(child, 'close') as Promise<[number | null]>
  const says = async (stream: 'stdout' | 'stderr', fits: (text: string) => boolean) => {
    while (!fits(said[stream])) await once(child[stream], 'data')
  }
  const beatsAgain = async (): Promise<void> => {
    const from = said.stdout.length
    await says('stdout', (text) => text.slice(from).includes('beat'))
  }
  return { child, said, closed, says, beatsAgain }
}

test('a loop that is blocked is told of while it is, once each time, and the thread ends with the watch', async () => {
  const { child, said, closed, says, beatsAgain } = startWatched()
  await beatsAgain()
  for (const times of [1, 2]) {
    const goOn = join(folder, `go-on-${times}`)
    const unblocked = (): number => said.stdout.split('unblocked').length - 1
    child.stdin.write(`block ${goOn}\n`)
    await says('stderr', (text) => text === LINE.repeat(times))
    // Nothing but this file lets it go on: what it said, it said before.
    expect(unblocked()).toBe(times - 1)
    await writeFile(goOn, '')
    await says('stdout', () => unblocked() === times)
    await beatsAgain()
  }
  child.stdin.end()
  expect(await closed).toEqual([0, null])
  expect(said.stderr).toBe(LINE.repeat(2))
})

test('a process that was halted as a whole is not said to stand still before it could have gone on', async () => {
  // A minute to go on in: so nothing depends on how busy the machine is.
  const { child, said, closed, says, beatsAgain } = startWatched(60_000)
  const goOn = join(folder, 'go-on-after-halt')
  // The thread needs a moment to begin; one that had not begun would say nothing either.
  await says('stdout', (text) => text.split('beat').length > BEATS_TO_BEGIN)
  child.stdin.write(`block ${goOn}\n`)
  await says('stdout', (text) => text.includes('blocked'))
  child.kill('SIGSTOP')
  await sleep(clock, 2 * AFTER_MS)
  child.kill('SIGCONT')
  await sleep(clock, AFTER_MS / 2)
  await writeFile(goOn, '')
  await beatsAgain()
  child.stdin.end()
  expect(await closed).toEqual([0, null])
  expect(said.stderr).toBe('')
})

test('where no thread can be started that is told, and the process goes on', async () => {
  const failed: Error[] = []
  const unclonable = (() => {}) as unknown as string
  using _watch = watchLoop(
    { afterMs: AFTER_MS, onFailed: (error) => failed.push(error) },
    { line: unclonable, clock },
  )
  expect(failed).toMatchObject([{ name: 'DataCloneError' }])
})

test('a clock that is told to watch nothing has nothing that does', () => {
  expect('watchLoop' in systemClock({ stillLine: 'off' })).toBe(false)
  expect('watchLoop' in clock).toBe(true)
})
