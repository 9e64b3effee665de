import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openLog } from '../../cli/open-log.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { makeClip } from '../../video/clip.ts'
import { outputsOf, type Outputs } from '../video/pipeline-world.ts'
import { folderWith, millrace, start, type Ended } from './millrace.ts'

let folder = ''
/** What comes out where nothing fails. */
let undisturbed: Outputs

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-rehearsal-annotator-'))
  const { path: clip } = await makeClip({ folder, size: 'small' })
  const args = ['ingest', clip, '--embedded', 'data', '--chunk', '64KiB']
  expect(await millrace(args, folder)).toMatchObject({ code: 0 })
  await using own = await ingested()
  const { ended } = await runAgainst(own.path, [])
  expect(ended).toMatchObject({ code: 0 })
  undisturbed = await outputsIn(own.path)
})

afterAll(() => rm(folder, { recursive: true, force: true }))

/** A folder with the clip in its log. */
async function ingested(): Promise<Awaited<ReturnType<typeof folderWith>>> {
  const own = await folderWith()
  await cp(join(folder, 'data'), join(own.path, 'data'), { recursive: true })
  return own
}

/** Runs the flagship against an annotator in a process of its own. */
async function runAgainst(path: string, rehearsal: readonly string[]): Promise<{ ended: Ended }> {
  const annotator = start(['annotator', '--port', '0', ...rehearsal])
  let endpoint = ''
  annotator.child.stdout.on('data', (text: string) => (endpoint += text))
  await annotator.says(/listening on \S+\n/)
  const ended = await runAt(path, /listening on (\S+)/.exec(endpoint)?.[1] ?? '')
  annotator.child.kill('SIGTERM')
  expect(await annotator.ended).toMatchObject({ code: 0 })
  return { ended }
}

async function runAt(path: string, endpoint: string): Promise<Ended> {
  // As a user writes it down, with limits that a test can wait for.
  const pipeline = `import { google, videoEnrichment } from 'millrace'
    const annotator = google({ feature: 'shots', endpoint: '${endpoint}', insecure: true })
    export default videoEnrichment(annotator, { attempts: 3, backoffMs: 20 })`
  await writeFile(join(path, 'video.ts'), pipeline)
  const args = ['run', 'video.ts', '--embedded', 'data', '--create-topics', '--until-caught-up']
  return await millrace(args, path)
}

async function outputsIn(path: string): Promise<Outputs> {
  const clock = systemClock()
  await using log = await openLog(join(path, 'data'), { clock, existing: true })
  return await outputsOf({ ...log, clock })
}

// Every kind of failure, at several places of the stream: test/video/pipeline-failures.test.ts.
describe('an annotator that fails in passing', () => {
  test.each(['in-band', 'die'])(
    '%s: the run goes on and its outputs are those of an undisturbed one',
    async (how) => {
      await using own = await ingested()
      const rehearsal = ['--rehearse', how, '--rehearse-after', '1MiB', '--rehearse-times', '2']
      const { ended } = await runAgainst(own.path, rehearsal)
      expect(ended, ended.stderr).toMatchObject({ code: 0 })
      expect(await outputsIn(own.path)).toEqual(undisturbed)
    },
  )
})

describe('an annotator that fails for good', () => {
  test.each([
    ['in-band', '3', 'INVALID_ARGUMENT', 6],
    // Correcting it is up to who started the run.
    ['status', '7', 'PERMISSION_DENIED', 3],
  ])(
    '%s with code %s: the run says so and ends, and the next one completes',
    async (how, status, name, code) => {
      await using own = await ingested()
      const rehearsal = ['--rehearse', how, '--rehearse-code', status, '--rehearse-times', '100']
      const { ended } = await runAgainst(own.path, rehearsal)
      expect(ended.stderr).toMatch(
        new RegExp(`^millrace: .*${name}.*\\[MILLRACE_ENRICH_FAILED\\]$`, 'm'),
      )
      expect(ended).toMatchObject({ code, stdout: '' })
      expect((await runAgainst(own.path, [])).ended).toMatchObject({ code: 0 })
      expect(await outputsIn(own.path)).toEqual(undisturbed)
    },
  )

  test('that cannot be reached: the run ends with the code for what is missing outside', async () => {
    await using own = await ingested()
    const ended = await runAt(own.path, await unusedEndpoint())
    expect(ended.stderr).toMatch(/^enrich step annotate: .* failed at try 1 of 3 .*ECONNREFUSED/m)
    expect(ended.stderr).toMatch(/^millrace: .*ECONNREFUSED.*\[MILLRACE_ENRICH_FAILED\]$/m)
    expect(ended).toMatchObject({ code: 5, stdout: '' })
    expect((await runAgainst(own.path, [])).ended).toMatchObject({ code: 0 })
    expect(await outputsIn(own.path)).toEqual(undisturbed)
  })
})

/** A port that was free a moment ago. */
async function unusedEndpoint(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return `127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
}
