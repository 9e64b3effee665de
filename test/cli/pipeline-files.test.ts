import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { folderWith, millrace, WORDS } from './millrace.ts'

describe.concurrent('a pipeline file', () => {
  test('is described as Kafka Streams would, from a folder without packages', async () => {
    await using folder = await folderWith({ 'words.ts': WORDS })
    const { code, stdout, stderr } = await millrace(['describe', 'words.ts'], folder.path)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('Topologies:\n   Sub-topology: 0\n')
    expect(stdout).toContain('Source: KSTREAM-SOURCE-0000000000 (topics: [words])')
  })

  test('is described as a picture and for programs', async () => {
    await using folder = await folderWith({ 'words.ts': WORDS })
    const [picture, data] = await Promise.all([
      millrace(['describe', 'words.ts', '--mermaid'], folder.path),
      millrace(['describe', 'words.ts', '--json'], folder.path),
    ])
    expect(picture.stdout).toMatch(/^flowchart /)
    expect(JSON.parse(data.stdout)).toMatchObject({ event: 'topology', name: 'words' })
  })

  test('may have its steps in other files', async () => {
    await using folder = await folderWith({
      'steps.ts': 'export const isWord = (text: string): boolean => text !== ""\n',
      'words.ts': `import { isWord } from './steps.ts'\n${WORDS.replace("value !== ''", 'isWord(value)')}`,
    })
    expect(await millrace(['describe', 'words.ts'], folder.path)).toMatchObject({ code: 0 })
  })

  test.each([
    ['throws', `throw new Error('no such luck')`, 'PIPELINE_THREW', 'no such luck'],
    ['throws what is no error', `throw 'bad'`, 'PIPELINE_THREW', 'bad'],
    ['has a syntax error', 'export default topology(', 'PIPELINE_SYNTAX', 'p.ts'],
    ['has TypeScript that is no types', 'export enum E { A }', 'PIPELINE_SYNTAX', 'p.ts'],
    ['imports a missing file', `import './gone.ts'`, 'PIPELINE_IMPORT', 'gone.ts'],
    ['imports a missing package', `import 'no-such-package'`, 'PIPELINE_IMPORT', 'no-such-package'],
    ['imports a missing name', `import { windows } from 'millrace'`, 'PIPELINE_IMPORT', 'windows'],
    ['exports nothing', 'export {}', 'PIPELINE_EMPTY', 'exports no topology by default'],
    ['exports something else', 'export default { name: "x" }', 'PIPELINE_EMPTY', 'no topology'],
    ['exports it by name', WORDS.replace('default', 'const words ='), 'PIPELINE_EMPTY', "'words'"],
    [
      'declares what cannot run',
      WORDS.replace('.groupByKey()', '.selectKey(({ value }) => value).groupByKey()'),
      'TOPOLOGY_INVALID',
      'KEY-SELECT',
    ],
  ])('that %s is told so in a sentence', async (_, text, code, says) => {
    await using folder = await folderWith({ 'p.ts': text })
    const ended = await millrace(['describe', 'p.ts'], folder.path)
    expect(ended.stderr).toContain(says)
    expect(ended.stderr).toMatch(
      new RegExp(`^millrace: [^\\n]*(\\n {2}- .*)*\\[MILLRACE_${code}\\]\\n$`),
    )
    expect(ended).toMatchObject({ code: 3, stdout: '' })
  })

  test.each([
    ['imports', WORDS],
    ['exports', 'export const x = 1\n'],
    ['waits', 'await Promise.resolve()\n'],
  ])('beside a package.json of CommonJS that %s is told what to set', async (_, text) => {
    const about = JSON.stringify({ name: 'mine', type: 'commonjs' })
    await using folder = await folderWith({ 'package.json': about, 'p.ts': text })
    const { code, stderr } = await millrace(['describe', 'p.ts'], folder.path)
    expect(stderr).toContain(`package.json in ${folder.path} says "type": "commonjs"`)
    expect(stderr).toContain('set "type": "module", or name the file p.mts')
    expect(stderr).toContain('[MILLRACE_PIPELINE_SYNTAX]')
    expect(stderr).not.toContain('has a syntax error')
    expect(code).toBe(3)
  })

  test('beside a package.json of CommonJS runs as .mts, and its own mistakes are told as such', async () => {
    const about = JSON.stringify({ name: 'mine', type: 'commonjs' })
    await using folder = await folderWith({
      'package.json': about,
      'p.mts': WORDS,
      'bad.ts': 'const words = topology(',
    })
    const [good, bad] = await Promise.all([
      millrace(['describe', 'p.mts'], folder.path),
      millrace(['describe', 'bad.ts'], folder.path),
    ])
    expect(good).toMatchObject({ code: 0, stderr: '' })
    expect(bad.stderr).toContain('bad.ts:1 has a syntax error')
    expect(bad.stderr).not.toContain('commonjs')
  })

  test('that is missing or a folder is told so', async () => {
    await using folder = await folderWith()
    const [missing, directory] = await Promise.all([
      millrace(['describe', join(folder.path, 'p.ts')]),
      millrace(['describe', folder.path]),
    ])
    expect(missing).toMatchObject({ code: 3 })
    expect(missing.stderr).toContain(`there is no pipeline at ${folder.path}`)
    expect(directory).toMatchObject({ code: 3 })
    expect(directory.stderr).toContain('is no file')
  })

  test('that names files with control characters does not reach the terminal with them', async () => {
    const { stderr } = await millrace(['describe', 'evil\u001b[2J.ts'])
    expect(stderr).toContain('evil\\x1b[2J.ts')
  })
})
