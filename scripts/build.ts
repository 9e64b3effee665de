/**
 * Builds dist/, which is what npm publishes: JavaScript and types, made by tsc alone. Node runs
 * TypeScript as it is, but not inside node_modules.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, readFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const SHEBANG = '#!/usr/bin/env node\n'

rmSync(`${root}dist`, { recursive: true, force: true })
compile()
checkProgram(`${root}dist/cli/bin.js`)
checkNoTypeScriptImports(['index.js', 'testing.js', 'cli/main.js', 'cli/bin.js'])

function compile(): void {
  const tsc = `${root}node_modules/typescript/bin/tsc`
  const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], {
    cwd: root,
    stdio: 'inherit',
  })
  if (status !== 0) fail('tsc found errors; nothing was built')
}

/** npm makes a program of the file as it is: without its first line a shell would run it. */
function checkProgram(path: string): void {
  if (!readFileSync(path, 'utf8').startsWith(SHEBANG))
    fail(`${path} does not begin with ${SHEBANG}`)
  chmodSync(path, 0o755)
}

/** An import that still ends in .ts would only fail at the user's. */
function checkNoTypeScriptImports(files: readonly string[]): void {
  for (const file of files) {
    const text = readFileSync(`${root}dist/${file}`, 'utf8')
    const left = /(?:from|import\()\s*'(\.[^']*\.ts)'/.exec(text)
    if (left !== null) fail(`dist/${file} still imports ${left[1] ?? ''}`)
  }
}

function fail(message: string): never {
  rmSync(`${root}dist`, { recursive: true, force: true })
  console.error(`build: ${message}`)
  process.exit(1)
}
