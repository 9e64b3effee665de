/** The real program, as a shell would start it. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { endWithTest } from '../end-with-tests.ts'

const BIN = fileURLToPath(new URL('../../cli/bin.ts', import.meta.url))
const FROM_SOURCE = '--conditions=millrace-source'

/** What became of a run. */
export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** A run that has not ended. */
export interface Running {
  readonly child: ChildProcessWithoutNullStreams
  readonly ended: Promise<Ended>
  /** Resolves when standard output and error together have a text that fits; rejects where the run ends before. */
  says(what: RegExp): Promise<void>
}

/** Starts millrace. `folder` is where it runs. */
export function start(args: readonly string[], folder?: string): Running {
  return startFile(BIN, args, folder)
}

/** Runs millrace to its end. */
export function millrace(args: readonly string[], folder?: string): Promise<Ended> {
  return start(args, folder).ended
}

/** Starts a file with this Node. It ends with its test at the latest. */
export function startFile(file: string, args: readonly string[] = [], folder = tmpdir()): Running {
  const child = endWithTest(
    spawn(process.execPath, [FROM_SOURCE, file, ...args], {
      cwd: folder,
      env: { ...process.env, NODE_OPTIONS: '' },
    }),
  )
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })
  const says = (what: RegExp): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (what.test(stdout + stderr)) resolve()
      }
      child.stdout.on('data', look)
      child.stderr.on('data', look)
      look()
      void ended.then(() =>
        reject(new Error(`it ended without saying ${what}: ${stdout}${stderr}`)),
      )
    })
  return { child, ended, says }
}

/** A folder with files, removed when it is disposed. */
export async function folderWith(
  files: Readonly<Record<string, string>> = {},
): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'millrace-cli-'))
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text)
  return {
    path,
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  }
}

/** A pipeline that is right. */
export const WORDS = `import { text, topology } from 'millrace'
export default topology('words', ({ stream }) => {
  stream('words', { key: text, value: text })
    .filter(({ value }) => value !== '')
    .groupByKey()
    .count({ store: 'counts' })
    .toStream()
    .to('word-counts')
})
`
