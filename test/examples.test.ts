import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')
const node = (args: readonly string[]) =>
  promisify(execFile)(process.execPath, ['--conditions=millrace-source', ...args], { cwd: root })

describe('the examples', async () => {
  const names = await readdir(join(root, 'examples'))
  const pipelines = names.filter((name) => name.endsWith('.pipeline.ts'))

  test.each(pipelines)('%s can be described', async (name) => {
    const { stdout } = await node(['cli/bin.ts', 'describe', `examples/${name}`])
    expect(stdout).toMatch(/^Topologies:\n {3}Sub-topology: 0/)
  })

  test.each(pipelines)('%s runs on an empty log', async (name) => {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-examples-'))
    const args = ['run', `examples/${name}`, '--embedded', folder, '--create-topics']
    const dead = name.startsWith('2-') ? ['--dead-letters', 'failed'] : []
    await node(['cli/bin.ts', ...args, ...dead, '--until-caught-up'])
    await rm(folder, { recursive: true, force: true })
  })

  test('5-inside-a-program.ts prints what it shouted', async () => {
    const { stdout } = await node(['examples/5-inside-a-program.ts'])
    expect(stdout).toBe('HELLO\nWORLD\n')
  })
})

describe('the README', () => {
  test('shows a pipeline that can be described, in at most 25 lines', async () => {
    const readme = await readFile(join(root, 'README.md'), 'utf8')
    const code = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? ''
    expect(code.trimEnd().split('\n').length).toBeLessThanOrEqual(25)
    const folder = await mkdtemp(join(tmpdir(), 'millrace-readme-'))
    const file = join(folder, 'pipeline.ts')
    await writeFile(file, code)
    const { stdout } = await node(['cli/bin.ts', 'describe', file])
    expect(stdout).toContain('Processor: annotate (stores: [annotate-pending])')
    await rm(folder, { recursive: true, force: true })
  })
})
