import { existsSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { filesOfTree, ROOT, type SourceFile } from './tree/source-tree.ts'
import { namelessTypes } from './tree/nameless-types.ts'
import * as tidiness from './tree/tidiness.ts'
import { worldlyReads } from './tree/worldly-reads.ts'

const CLOCK = 'runtime/system-clock.ts'
/** The clock's own thread: it waits by itself, for where it is needed no timer runs. */
const LOOP_WATCH = 'runtime/loop-watch.ts'
const all = filesOfTree(['.ts', '.md', '.json', '.yml', '.yaml', '.js', '.mjs', '/run'])
const sources = all.filter(({ path }) => path.endsWith('.ts'))
const product = sources.filter(({ path }) => !/^(test|scripts)\/|\.config\.ts$/.test(path))
const errorsPage = textOf('docs/errors.md')

/** What only the library makes and hands to itself, beside what users name in the same signatures. */
const INSIDES: ReadonlySet<string> = new Set(
  [
    // Of the fluent surface: what constructors take, and what the types of a stream carry.
    'AnyTable GroupState Keyed MakeStream MakeTable Passed SourceFacts',
    'StreamFacts StreamJoinWish StreamState TableState ValueChanged ValueSerde',
    // Of a topology: its graph, which `describe` and `describeJson` show.
    'GraphNode RepartitionTopic Subtopology TopologyStore',
    // Taken by the constructors of what a public function opens or makes.
    'DrivenApp EmbeddedTransportParts InputPartitioning LocalStoreSource SeededRandom',
    // For millrace's own tests; a runner's own type; what is written in a schema and not named.
    'UnitSteps RegisterTest AvroObject',
    // Other words for types that have a public name.
    'TransportHarness ValueOfSchema',
  ].flatMap((words) => words.split(' ')),
)

function textOf(path: string): string {
  return all.find((file) => file.path === path)?.text ?? ''
}

function source(text: string): SourceFile {
  return { path: 'state/x.ts', text }
}

describe('the tree', () => {
  test('has no name that says nothing', () => {
    expect(tidiness.emptyNames(all.map(({ path }) => path))).toEqual([])
    expect(product.flatMap(tidiness.emptyDeclarations)).toEqual([])
  })

  test('reads time and randomness through the system clock alone', () => {
    const seeded = sources.filter(({ path }) => path.startsWith('test/simulation/'))
    const judged = [...product, ...seeded].filter(
      ({ path }) => path !== CLOCK && path !== LOOP_WATCH,
    )
    expect(judged.flatMap(worldlyReads)).toEqual([])
    expect(worldlyReads({ path: CLOCK, text: textOf(CLOCK) }).length).toBeGreaterThan(4)
  })

  test('describes every error code on the page of errors, and no other', () => {
    const named = product.map(tidiness.errorCodes)
    const codes = new Set(named.flatMap(({ codes }) => codes))
    const documented = tidiness.documentedCodes(errorsPage)
    expect(named.flatMap(({ composed }) => composed)).toEqual([])
    expect({
      undocumented: [...codes].filter((code) => !documented.includes(code)).sort(),
    }).toEqual({
      undocumented: [],
    })
    expect({ unused: documented.filter((code) => !codes.has(code)) }).toEqual({ unused: [] })
  })

  test('keeps the page of errors in alphabetical order, each code once', () => {
    const documented = tidiness.documentedCodes(errorsPage)
    expect(documented).toEqual([...new Set(documented)].sort())
  })

  test.each(['index.ts', 'testing.ts'])('documents everything that %s exports', (path) => {
    const door = { path, text: textOf(path) }
    expect(tidiness.undocumentedExports(door, sources)).toEqual([])
  })

  test('gives users a word for every type that they meet in a signature', () => {
    const doors = all.filter(({ path }) => path === 'index.ts' || path === 'testing.ts')
    expect(namelessTypes(doors, product, INSIDES)).toEqual([])
  })

  test('shows the life of a record in five files and 800 lines', () => {
    const files = [...textOf('docs/life-of-a-record.md').matchAll(/^\d\. \*\*\[([^\]]+)\]/gm)].map(
      ([, path]) => path ?? '',
    )
    expect(files).toEqual(
      ['record-queue', 'task', 'wiring', 'sink', 'commit'].map((name) => `runtime/${name}.ts`),
    )
    const lines = files.map((path) => textOf(path).trimEnd().split('\n').length)
    expect(lines.every((count) => count > 1)).toBe(true)
    expect(lines.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(800)
  })

  test('names no folder of a machine', () => {
    const judged = all.filter(
      ({ path }) => path !== 'package-lock.json' && path !== 'test/tidy.test.ts',
    )
    expect(judged.flatMap(tidiness.machinePaths)).toEqual([])
  })

  test('has no dead link between its pages and no page in pieces', () => {
    const pages = all.filter(({ path }) => path.endsWith('.md'))
    const exists = (path: string): boolean => existsSync(ROOT + path)
    expect(pages.flatMap((page) => tidiness.deadLinks(page, exists))).toEqual([])
    expect(pages.map(({ path }) => path).filter((path) => path.endsWith('.part.md'))).toEqual([])
  })
})

describe('the check of names', () => {
  test.each([
    'state/store-manager.ts',
    'cli/utils.ts',
    'helpers/x.ts',
    'model/base.ts',
    'a/TaskImpl.ts',
  ])('finds %s', (path) =>
    expect(tidiness.emptyNames([path.replace('TaskImpl', 'task-impl')])).toHaveLength(1),
  )

  test('accepts words that only contain an empty one', () => {
    expect(tidiness.emptyNames(['state/level-database.ts', 'model/commonality.ts'])).toEqual([])
  })

  test.each([
    'class TaskManager {}',
    'interface BaseStore {}',
    'class AbstractTask {}',
    'function parseHelper() {}',
  ])('finds %s', (text) => expect(tidiness.emptyDeclarations(source(text))).toHaveLength(1))
})

describe('the check of time and randomness', () => {
  test.each([
    'setTimeout(run, 5)',
    'const wait = setTimeout',
    'globalThis.setTimeout(run, 5)',
    'const clock = { setTimeout }',
    'Date.now()',
    `Date['now']()`,
    'new Date()',
    'Date()',
    'Math.random()',
    'performance.now()',
    'process.hrtime.bigint()',
    'crypto.randomUUID()',
    'AbortSignal.timeout(5)',
    `import { randomUUID } from 'node:crypto'`,
    `import { randomBytes as bytes } from 'node:crypto'`,
    `import { setTimeout as sleep } from 'node:timers/promises'`,
    `import { performance as clock } from 'node:perf_hooks'`,
  ])('finds %s', (text) => {
    expect(worldlyReads(source(text)).length).toBeGreaterThan(0)
  })

  test.each([
    'clock.now()',
    'const options = { performance: 1 }',
    'stats.performance.total',
    'new Date(timestamp).toISOString()',
    'let at: Date',
    `import { createHash } from 'node:crypto'`,
    `import { type Timers } from 'node:crypto'`,
    '// setTimeout(run, 5)',
  ])('accepts %s', (text) => {
    expect(worldlyReads(source(text))).toEqual([])
  })
})

describe('the check of error codes', () => {
  test('reads codes from calls and from unions, and no variable of the environment', () => {
    const { codes, composed } = tidiness.errorCodes(
      source(
        `new MillraceError('MILLRACE_A', m)\ntype C = 'MILLRACE_B'\nprocess.env['MILLRACE_C']`,
      ),
    )
    expect(codes).toEqual(['MILLRACE_A', 'MILLRACE_B'])
    expect(composed).toEqual([])
  })

  test.each(['`MILLRACE_${kind}`', `'MILLRACE_' + kind`, '`MILLRACE_TOPOLOGY_${kind}`'])(
    'finds a code that is put together: %s',
    (text) => expect(tidiness.errorCodes(source(text)).composed).toEqual(['state/x.ts:1']),
  )

  test.each(['type Code = `MILLRACE_${string}`', `code.startsWith('MILLRACE_STATE_')`])(
    'accepts what makes no code: %s',
    (text) => expect(tidiness.errorCodes(source(text)).composed).toEqual([]),
  )

  test('reads the headings of the page', () => {
    expect(
      tidiness.documentedCodes('# Errors\n\n## MILLRACE_A\n\ntext\n\n## MILLRACE_B\n'),
    ).toEqual(['MILLRACE_A', 'MILLRACE_B'])
  })
})

describe('the check of docstrings', () => {
  const door = { path: 'index.ts', text: `export { a, b, type C } from './state/x.ts'` }

  test('accepts exports with a docstring right above', () => {
    const text = `/** A. */\nexport function a() {}\n/** B. */\n// eslint-disable-next-line x -- why\nexport const b = 1\n/** C. */\nexport interface C {}`
    expect(tidiness.undocumentedExports(door, [source(text)])).toEqual([])
  })

  test('finds exports without one, and those that are not there', () => {
    const text = `/** Not for a: code follows. */\nconst x = 1\nexport function a() {}\n\n// B.\nexport const b = x`
    expect(tidiness.undocumentedExports(door, [source(text)])).toEqual([
      'a (state/x.ts)',
      'b (state/x.ts)',
      'C (state/x.ts)',
    ])
  })

  test('finds an export of everything, whose names nobody can read', () => {
    const all = { path: 'index.ts', text: `export * from './state/x.ts'` }
    expect(tidiness.undocumentedExports(all, [source('')])).toEqual(['* (state/x.ts)'])
  })
})

describe('the check of types without a name', () => {
  const door = { path: 'index.ts', text: `export { open, type Seen, C } from './state/x.ts'` }
  const types = `export interface Hidden {}\nexport interface Seen {}\ninterface Local {}\n`
  const found = (text: string): readonly string[] =>
    namelessTypes([door], [source(types + text)]).map((line) => line.split(' ')[0] ?? '')

  test.each([
    'export function open(a: Hidden): void {}',
    'export function open(): Promise<readonly Hidden[]> {}',
    'export const open: Hidden = {}',
    'export class C { constructor(a: Hidden) {} }',
    'export class C implements Hidden {}',
    'export class C { readonly a: Hidden }',
  ])('finds the one in %s', (text) => expect(found(text)).toEqual(['Hidden']))

  test.each([
    'export function open(a: Seen): Local { const b: Hidden = {} }',
    'export class C { readonly #a: Hidden; private b: Hidden; c = (): Hidden => ({}) }',
    'export class C { #d(a: Hidden): void {} }',
    'export function other(a: Hidden): void {}',
  ])('accepts %s', (text) => expect(found(text)).toEqual([]))
})

describe('the check of machines and links', () => {
  test.each(['see /home/ann/clip.mp4', '"/Users/ann/x"', '(/root/x)', 'C:\\Users\\ann'])(
    'finds %s',
    (text) => expect(tidiness.machinePaths(source(text))).toHaveLength(1),
  )

  test.each(['https://example.org/home/x', 'docs/home/page', '/dev/null', '~/work/x'])(
    'accepts %s',
    (text) => expect(tidiness.machinePaths(source(text))).toEqual([]),
  )

  test('finds a link to a page that is not there', () => {
    const page = { path: 'docs/a.md', text: '[b](b.md) [c](../c.md#x) [d](https://example.org)' }
    expect(tidiness.deadLinks(page, (path) => path === 'docs/b.md')).toEqual(['docs/a.md: ../c.md'])
  })
})
