import {
  appendFile,
  copyFile,
  cp,
  mkdtemp,
  readdir,
  readFile,
  rm,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openLog } from '../../cli/open-log.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { makeClip } from '../../video/clip.ts'
import { readVideos } from '../video/all-videos.ts'
import { ffmpeg, SOUND } from '../video/ffmpeg-clips.ts'
import { rawChunks } from '../video/log-world.ts'
import { box } from '../video/mp4-crafting.ts'
import { remainsOf, startDemo, type DemoRemains } from './demo-lives.ts'
import { folderWith, millrace, start } from './millrace.ts'
import { millraceUnder } from './rehearsal-world.ts'

let folder = ''
let clip = ''
let undisturbed: DemoRemains
const place = (name: string): string => join(folder, name)
const DEMO = ['--small', '--chunk', '64KiB']

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-rehearsal-'))
  expect(await startDemo(place('undisturbed'), DEMO).ended).toMatchObject({ code: 0 })
  undisturbed = await remainsOf(place('undisturbed'))
  clip = (await makeClip({ folder: join(place('undisturbed'), 'clips'), size: 'small' })).path
})

afterAll(() => rm(folder, { recursive: true, force: true }))

describe.concurrent("the demo with a file of one's own", () => {
  const FILES: readonly [string, string, (file: string) => Promise<unknown>, RegExp][] = [
    ['missing', 'FILE_MISSING', async () => {}, /does not exist/],
    ['empty', 'FILE_EMPTY', (file) => writeFile(file, ''), /empty/],
    ['no video', 'NOT_A_VIDEO', (file) => writeFile(file, 'words '.repeat(1000)), /not a video/],
    ['cut off', 'VIDEO_TRUNCATED', cutOff, /not whole/],
    ['sound alone', 'NO_VIDEO_TRACK', (file) => ffmpeg(...SOUND, '-c:a', 'aac', file), /soun/],
  ]

  test.each(FILES)(
    'that is %s says so and leaves nothing half-done',
    async (what, code, make, says) => {
      const own = place(`own ${what}`)
      const file = `${own}.mp4`
      await make(file)
      const ended = await millrace(['demo', file, '--dir', own])
      expect(ended.stderr).toMatch(new RegExp(`^millrace: .*\\[MILLRACE_${code}\\]$`, 'm'))
      expect(ended.stderr).toMatch(says)
      expect(ended.stderr).toContain(file)
      expect(ended).toMatchObject({ code: 3, stdout: '' })
      await using log = await openLog(join(own, 'log'), { clock: systemClock(), existing: true })
      const there = { ...log, clock: systemClock() }
      expect(await rawChunks(there)).toEqual([])
      expect(await readdir(own)).not.toContain('results')
    },
  )

  test('that is a folder says so', async () => {
    const ended = await millrace(['demo', folder, '--dir', place('own folder')])
    expect(ended.stderr).toContain('[MILLRACE_FILE_NOT_REGULAR]')
    expect(ended.code).toBe(3)
  })

  async function cutOff(file: string): Promise<void> {
    await copyFile(clip, file)
    await truncate(file, 1_500_000)
  }
})

describe('chunks that the topic does not take', () => {
  test('are refused before anything of them is written', async () => {
    await using own = await folderWith()
    const ingest = (chunk: string, id: string) =>
      millrace(['ingest', clip, '--embedded', own.path, '--chunk', chunk, '--id', id])
    expect(await ingest('64KiB', 'small')).toMatchObject({ code: 0 })
    const ended = await ingest('1MiB', 'large')
    expect(ended.stderr).toMatch(/^millrace: .*videos\.raw.*\[MILLRACE_CHUNK_TOO_LARGE\]$/m)
    expect(ended).toMatchObject({ code: 3, stdout: '' })
    await using log = await openLog(own.path, { clock: systemClock(), existing: true })
    const chunks = await rawChunks({ ...log, clock: systemClock() })
    expect(new Set(chunks.map(({ key }) => key.videoId))).toEqual(new Set(['small']))
  })
})

describe('a file that changes while it is read', () => {
  test('ends the ingest, is never taken for complete, and is ingested whole when it stands still', async () => {
    const file = place('growing.mp4')
    await writeFile(file, Buffer.concat([await readFile(clip), box('free', Buffer.alloc(2 ** 24))]))
    await using own = await folderWith()
    const args = ['ingest', file, '--embedded', own.path, '--chunk', '64KiB']
    const run = start(args)
    let isOver = false
    void run.ended.then(() => (isOver = true))
    while (!isOver) {
      await appendFile(file, box('free', Buffer.alloc(8)))
      await sleep(1)
    }
    const ended = await run.ended
    expect(ended.stderr).toContain('[MILLRACE_FILE_CHANGED]')
    expect(ended.stderr).toContain(file)
    expect(ended.code).toBe(3)
    expect(await statuses(own.path)).not.toContain('complete')
    expect(await millrace(args)).toMatchObject({ code: 0 })
    expect(await statuses(own.path)).toContain('complete')
  })

  async function statuses(path: string): Promise<readonly string[]> {
    await using log = await openLog(path, { clock: systemClock(), existing: true })
    const known = await log.transport.admin.describeTopics()
    if (known.length === 0) return []
    const rows = await readVideos({ ...log, clock: systemClock() }, 1)
    return [...rows.values()].map(({ status }) => status)
  }
})

describe('the folder of the demo', () => {
  test('that cannot be made, because its parent is a file', async () => {
    await writeFile(place('a file'), 'x')
    const args = ['demo', clip, '--dir', join(place('a file'), 'demo')]
    const ended = await millrace(args)
    expect(ended.stderr).toMatch(/^millrace: .*\[MILLRACE_LOG_FOLDER\]$/m)
    expect(ended.code).toBe(5)
    const made = await millrace(['demo', '--small', '--dir', join(place('a file'), 'demo')])
    expect(made.stderr).toMatch(/^millrace: .*\[MILLRACE_\w+\]$/m)
    expect(made.code).toBe(5)
    expect(await readFile(place('a file'), 'utf8')).toBe('x')
  })

  test('that is in use is refused with its holder named, and the holder ends well', async () => {
    const dir = place('shared')
    await cp(join(place('undisturbed'), 'clips'), join(dir, 'clips'), { recursive: true })
    const first = start(['demo', '--dir', dir, '--json', ...DEMO])
    await first.says(/"event":"ingested"/)
    // It stands still while it is met, or it might be done before.
    first.child.kill('SIGSTOP')
    const second = await millrace(['demo', '--dir', dir, ...DEMO])
    first.child.kill('SIGCONT')
    expect(second.stderr).toMatch(/^millrace: .*\[MILLRACE_LOG_IN_USE\]$/m)
    expect(second.stderr).toContain(String(first.child.pid))
    expect(second).toMatchObject({ code: 5, stdout: '' })
    expect(await first.ended).toMatchObject({ code: 0 })
    expect(await remainsOf(dir)).toEqual(undisturbed)
  })

  test.each([1, 5])(
    'on a disk that is full at %d/8 of what is needed: with room again it ends as if nothing had been',
    async (eighths) => {
      const dir = place(`full ${eighths}`)
      await cp(join(place('undisturbed'), 'clips'), join(dir, 'clips'), { recursive: true })
      // The largest file is the segment of videos.raw, 2.1 MB; ulimit counts 512 or 1,024 bytes.
      const full = await millraceUnder(`ulimit -f ${eighths * 512}`, [
        'demo',
        '--dir',
        dir,
        ...DEMO,
      ])
      expect(full.stderr).toMatch(/^millrace: .*\[MILLRACE_\w+\]$/m)
      expect(full.code).toBe(5)
      expect(await millrace(['demo', '--dir', dir, ...DEMO])).toMatchObject({ code: 0 })
      expect(await remainsOf(dir)).toEqual(undisturbed)
    },
  )
})
