import { describe, expect, test } from 'vitest'
import { layerViolations } from './tree/layers.ts'
import { filesOfTree } from './tree/source-tree.ts'

describe('the tree', () => {
  test('imports downward only, meets packages at their doors and chooses adapters at the edge', () => {
    expect(layerViolations(filesOfTree(['.ts']))).toEqual([])
  })
})

/** Files that the planted ones import. */
const NEIGHBOURS = [
  'model/record.ts',
  'serdes/serde.ts',
  'serdes/file-registry.ts',
  'transport/transport.ts',
  'transport/memory/log.ts',
  'transport/embedded/log.ts',
  'state/store.ts',
  'state/level-database.ts',
  'processors/filter.ts',
  'topology/graph.ts',
  'runtime/task.ts',
  'video/chunk.ts',
  'video/annotators/local.ts',
  'testing/driver.ts',
  'cli/main.ts',
  'test/some.ts',
  'index.ts',
  'testing.ts',
]

function judged(path: string, text: string): readonly string[] {
  const others = NEIGHBOURS.filter((neighbour) => neighbour !== path)
  return layerViolations([{ path, text }, ...others.map((other) => ({ path: other, text: '' }))])
}

describe('the check of layers', () => {
  test.each([
    ['an import upward', 'state/x.ts', `import { a } from '../runtime/task.ts'`],
    ['a type import upward', 'model/x.ts', `import type { A } from '../serdes/serde.ts'`],
    ['an inline type import upward', 'model/x.ts', `import { type A } from '../state/store.ts'`],
    ['an import for its effect', 'state/x.ts', `import '../runtime/task.ts'`],
    ['a dynamic import upward', 'state/x.ts', `await import('../runtime/task.ts')`],
    ['an import type upward', 'state/x.ts', `type A = import('../runtime/task.ts').A`],
    ['an import by require', 'state/x.ts', `import a = require('../runtime/task.ts')`],
    [
      'an import of an equal rank',
      'serdes/x.ts',
      `import type { A } from '../transport/transport.ts'`,
    ],
    ['video and testing are strangers', 'video/x.ts', `import { a } from '../testing/driver.ts'`],
    ['an import of a test', 'state/x.ts', `import { a } from '../test/some.ts'`],
    ['an import of a door', 'cli/x.ts', `import { a } from '../index.ts'`],
    ['the main door sees no test surface', 'index.ts', `export { a } from './testing/driver.ts'`],
    ['a door sees no command line', 'testing.ts', `export { a } from './cli/main.ts'`],
    ['an import of a missing file', 'state/x.ts', `import { a } from './gone.ts'`],
    ['an import without the ending', 'state/x.ts', `import { a } from './store'`],
    ['the own name', 'runtime/x.ts', `import { a } from 'millrace'`],
    ['a package without a door', 'cli/x.ts', `import a from 'lodash'`],
    ['a package beside its door', 'runtime/x.ts', `import { Level } from 'level'`],
    ['a path inside a package', 'cli/x.ts', `import a from '@grpc/grpc-js/build/src/server.js'`],
    ['a required package', 'cli/x.ts', `createRequire(import.meta.url)('avsc')`],
    [
      'a client of Kafka beside its door',
      'transport/kafka/x.ts',
      `import { Kafka } from 'kafkajs'`,
    ],
    ['a package that is resolved', 'cli/x.ts', `import.meta.resolve('avsc')`],
    ['an adapter in the runtime', 'runtime/x.ts', `import { a } from '../transport/memory/log.ts'`],
    ['an adapter in the port', 'transport/x.ts', `import { a } from './embedded/log.ts'`],
    ['an adapter in another', 'transport/memory/x.ts', `import { a } from '../embedded/log.ts'`],
    ['a registry in the runtime', 'runtime/x.ts', `import { a } from '../serdes/file-registry.ts'`],
    ['a database in the runtime', 'runtime/x.ts', `import { a } from '../state/level-database.ts'`],
    ['a re-export', 'state/x.ts', `export { a } from './store.ts'`],
    ['a re-export in two steps', 'state/x.ts', `import { a } from './store.ts'\nexport { a }`],
    ['a re-export of all', 'state/x.ts', `export * from './store.ts'`],
    ['a computed import', 'runtime/x.ts', `await import(name)`],
  ])('finds %s', (_, path, text) => {
    expect(judged(path, text)).toHaveLength(1)
  })

  test.each([
    ['an import downward', 'runtime/x.ts', `import { a } from '../model/record.ts'`],
    ['an import of its own folder', 'state/x.ts', `import type { A } from './store.ts'`],
    ['a built-in module', 'state/x.ts', `import { readFile } from 'node:fs/promises'`],
    ['a package at its door', 'model/crc32c.ts', `import { crc32c } from '@node-rs/crc32'`],
    ['an adapter at the edge', 'cli/x.ts', `import { a } from '../transport/embedded/log.ts'`],
    ['an adapter in the driver', 'testing/x.ts', `import { a } from '../transport/memory/log.ts'`],
    ['a re-export by a door', 'index.ts', `export type { A } from './runtime/task.ts'`],
    [
      'an export of what was derived',
      'state/x.ts',
      `import { a } from './store.ts'\nexport const b = a`,
    ],
    ['a pipeline by its path', 'cli/x.ts', `await import(path)`],
    ['an import in a comment', 'state/x.ts', `// import { a } from '../runtime/task.ts'`],
    ['a test, whatever it imports', 'test/x.ts', `import { a } from '../cli/main.ts'`],
  ])('accepts %s', (_, path, text) => {
    expect(judged(path, text)).toEqual([])
  })
})
