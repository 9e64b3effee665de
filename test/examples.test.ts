import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
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
