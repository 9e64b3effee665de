/** The page about testing, run as its readers would run it: under node's own runner, on the published names. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')

test('every example of the page about testing passes', async () => {
  const page = await readFile(join(root, 'docs/testing.md'), 'utf8')
  const examples = [...page.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code ?? '')
  expect(examples).toHaveLength(2)
  const folder = await mkdtemp(join(tmpdir(), 'millrace-page-'))
  try {
    await mkdir(join(folder, 'node_modules'))
    await symlink(root, join(folder, 'node_modules/millrace'), 'dir')
    const files = examples.map((_, i) => join(folder, `example-${i}.test.ts`))
    for (const [i, file] of files.entries()) await writeFile(file, examples[i] ?? '')
    // Set where this process runs under node's own runner, whose child would then report to it.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env
    const args = ['--conditions=millrace-source', '--test', '--test-reporter=tap', ...files]
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder, env })
    expect(stdout).toContain('orders get their country, however long the service takes')
    expect(stdout).toContain('json > every sample comes back equal')
    expect(stdout).toMatch(/^# fail 0$/m)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
