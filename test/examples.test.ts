import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { int64, text } from '../serdes/primitives.ts'
import { topologyTestDriver } from '../testing/topology-test-driver.ts'
import type { Topology } from '../topology/graph.ts'

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

  test('1-count-words counts words, in whatever line and under whatever key they come', async () => {
    const file = join(root, 'examples/1-count-words.pipeline.ts')
    const { default: countWords } = (await import(file)) as { default: Topology }
    await using driver = await topologyTestDriver(countWords)
    const lines = driver.input('lines', { key: text, value: text })
    const counts = driver.output('word-counts', { key: text, value: int64 })
    await lines.pipe('a', 'to be')
    await lines.pipe('b', '  or not\tto be ')
    await lines.pipe(null, 'to')
    await lines.pipe('c', '')
    await lines.pipe('d', null)
    expect(new Map(await counts.readKeyValues())).toEqual(
      new Map([
        ['to', 3n],
        ['be', 2n],
        ['or', 1n],
        ['not', 1n],
      ]),
    )
  })

  test('5-inside-a-program.ts prints what it shouted', async () => {
    const { stdout } = await node(['examples/5-inside-a-program.ts'])
    expect(stdout).toBe('HELLO\nWORLD\n')
  })
})

describe('the page to start with', async () => {
  const page = await readFile(join(root, 'docs/start.md'), 'utf8')
  const code = /```ts\n\/\/ pipeline\.ts\n([\s\S]*?)```/.exec(page)?.[1] ?? ''

  test('has the code of the first example', async () => {
    const example = await readFile(join(root, 'examples/1-count-words.pipeline.ts'), 'utf8')
    expect(example.endsWith(`*/\n${code}`)).toBe(true)
  })

  test('shows what its commands print, one after the other', async () => {
    const shown = /```console\n([\s\S]*?)```/.exec(page)?.[1] ?? ''
    const folder = await mkdtemp(join(tmpdir(), 'millrace-start-'))
    await writeFile(join(folder, 'pipeline.ts'), code)
    const program = `'${process.execPath}' --conditions=millrace-source '${root}/cli/bin.ts'`
    let printed = ''
    for (const [line, command = ''] of shown.matchAll(/^\$ (.*)\n/gm)) {
      const real = command.replace('npm run -s millrace --', program)
      const { stdout } = await promisify(execFile)('sh', ['-c', `${real} 2>&1`], { cwd: folder })
      printed += line + stdout
    }
    expect(withoutTimes(printed)).toBe(withoutTimes(shown))
    await rm(folder, { recursive: true, force: true })
  })
})

function withoutTimes(text: string): string {
  return text.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
}

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
