/** What rehearsals of bad days need besides the program itself. */
import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Ended } from './millrace.ts'

const BIN = fileURLToPath(new URL('../../cli/bin.ts', import.meta.url))

/** Runs millrace behind a line of shell, such as `ulimit -f 512`. */
export function millraceUnder(shell: string, args: readonly string[]): Promise<Ended> {
  const script = `${shell}; exec "$0" "$@"`
  const command = [process.execPath, '--conditions=millrace-source', BIN, ...args]
  return new Promise((resolve) => {
    const child = execFile(
      'sh',
      ['-c', script, ...command],
      { cwd: tmpdir(), env: { ...process.env, NODE_OPTIONS: '' } },
      (_, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }),
    )
  })
}
