/**
 * Loads the whole program once before the tests. Where NODE_COMPILE_CACHE is set Node keeps what it
 * compiled when a process ends by itself, and reads it in every process after: a program that a test
 * starts is there in half the time. Most of the programs that tests start are killed, and leave nothing
 * behind for the next.
 */
import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { TestProject } from 'vitest/node'

const ROOT = join(import.meta.dirname, '..')

/** What the programs of a run are started with, so that they find what was compiled. */
export const COMPILED = { NODE_COMPILE_CACHE: join(ROOT, 'node_modules', '.cache', 'compiled') }

/** Called by vitest, once a run. */
export async function setup({ config }: TestProject): Promise<void> {
  const commands = (await readdir(join(ROOT, 'cli'))).filter((name) => name !== 'bin.ts')
  const files = ['index.ts', 'testing.ts', ...commands.map((name) => `cli/${name}`)]
  // A file that does not load fails the tests that need it, not all of them.
  const imports = files.map((file) => `import('./${file}')`)
  const load = `await Promise.allSettled([${imports.join(', ')}])`
  const args = ['--conditions=millrace-source', '--input-type=module', '--eval', load]
  const env = { ...process.env, ...config.env }
  await promisify(execFile)(process.execPath, args, { cwd: ROOT, env })
}
