import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fileRegistry } from '../../serdes/file-registry.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { httpRegistry } from '../../serdes/http-registry.ts'
import { memoryRegistry } from '../../serdes/memory-registry.ts'
import { registryConformance, type RegistryHarness } from '../../serdes/registry-conformance.ts'
import type { Registry } from '../../serdes/registry.ts'
import { RegistryServer } from './registry-server.ts'

let folder = ''
let files = 0
const freshPath = (): string => join(folder, `registry-${files++}`, 'schemas.jsonl')

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-registry-'))
})

afterAll(async () => {
  await rm(folder, { recursive: true })
})

for (const harness of [
  {
    name: 'memoryRegistry',
    open: async () => ({
      registry: memoryRegistry(),
      reopen: undefined,
      async [Symbol.asyncDispose]() {},
    }),
  },
  {
    name: 'fileRegistry',
    async open() {
      const path = freshPath()
      return {
        registry: fileRegistry(path),
        reopen: async () => fileRegistry(path),
        async [Symbol.asyncDispose]() {},
      }
    },
  },
  {
    name: 'httpRegistry',
    async open() {
      const server = await RegistryServer.open()
      const client = (): Registry => httpRegistry({ url: server.url, clock: systemClock() })
      return {
        registry: client(),
        reopen: async () => client(),
        [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
      }
    },
  },
] satisfies readonly RegistryHarness[]) {
  registryConformance(harness, test)
}

test.each<[string, () => Registry]>([
  ['memoryRegistry', memoryRegistry],
  ['fileRegistry', () => fileRegistry(freshPath())],
])('%s gives ids from 1, without a gap', async (_name, make) => {
  const registry = make()
  expect(await registry.register('a-value', '"int"')).toBe(1)
  expect(await registry.register('a-value', '"long"')).toBe(2)
  expect(await registry.register('b-value', '"int"')).toBe(1)
  expect(await registry.register('a-value', '"string"')).toBe(3)
})

describe('fileRegistry', () => {
  test('has the same ids after it was opened again', async () => {
    const path = freshPath()
    const one = fileRegistry(path)
    await one.register('a-key', '"int"')
    await one.register('a-value', '"long"')
    const two = fileRegistry(path)
    expect(await two.schemaById(2)).toBe('"long"')
    expect(await two.register('a-value', '"long"')).toBe(2)
    expect(await two.register('a-value', '"string"')).toBe(3)
  })

  test('agrees with others over the same file that are open at the same time', async () => {
    const path = freshPath()
    const registries = Array.from({ length: 5 }, () => fileRegistry(path))
    const ids = await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        (registries[i % 5] as Registry).register(`s${i}`, `{"n":${i % 33}}`),
      ),
    )
    ids.forEach((id, i) => expect(id).toBe(ids[i % 33]))
    for (const registry of registries) expect(await registry.schemaById(33)).toBe('{"n":32}')
  })

  test('makes no file before there is something to keep', async () => {
    const path = freshPath()
    await expect(fileRegistry(path).schemaById(1)).rejects.toThrow('no schema 1')
    await expect(stat(path)).rejects.toThrow('ENOENT')
  })

  test('cut at any byte still has every whole line, and goes on from there', async () => {
    const whole = freshPath()
    const first = fileRegistry(whole)
    const schemas = ['"int"', '"é"', '{"type":"fixed","name":"F","size":1}']
    for (const schema of schemas) await first.register('s', schema)
    const bytes = await readFile(whole)
    const path = join(whole, '..', 'cut.jsonl')
    for (let cut = 0; cut <= bytes.length; cut++) {
      await writeFile(path, bytes)
      await truncate(path, cut)
      const lines = bytes.subarray(0, cut).toString('latin1').split('\n').length - 1
      const registry = fileRegistry(path)
      expect(await registry.register('s', '"new"')).toBe(lines + 1)
      for (let id = 1; id <= lines; id++)
        expect(await registry.schemaById(id)).toBe(schemas[id - 1])
      expect(await fileRegistry(path).schemaById(lines + 1)).toBe('"new"')
    }
  })

  test.each([
    ['a line that is not JSON', 'nonsense\n'],
    ['a line of something else', '{"id":2}\n'],
    ['an id that is given twice', '{"id":1,"subject":"s","schema":"\\"long\\""}\n'],
    ['an id that is skipped', '{"id":3,"subject":"s","schema":"\\"long\\""}\n'],
    ['a schema that is not JSON', '{"id":2,"subject":"s","schema":"{"}\n'],
  ])('is damaged by %s, and names file and line', async (_what, line) => {
    const path = freshPath()
    await fileRegistry(path).register('s', '"int"')
    await appendFile(path, line)
    const registry = fileRegistry(path)
    for (let i = 0; i < 2; i++) {
      await expect(registry.register('s', '"string"')).rejects.toMatchObject({
        code: 'MILLRACE_REGISTRY_DAMAGED',
        place: path,
        message: expect.stringContaining('line 2') as unknown,
      })
    }
  })

  test('says so when its folder cannot be made', async () => {
    const path = freshPath()
    await fileRegistry(path).register('s', '"int"')
    await expect(
      fileRegistry(join(path, 'below', 'file')).register('s', '"int"'),
    ).rejects.toMatchObject({
      code: 'MILLRACE_REGISTRY_UNWRITABLE',
    })
  })

  test('killed at any moment has every schema whose id it gave out', async () => {
    const path = freshPath()
    for (let round = 0; round < 4; round++) {
      const child = spawn(
        process.execPath,
        [join(import.meta.dirname, 'registry-child.ts'), path, String(round)],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      )
      let told = ''
      child.stdout.setEncoding('utf8')
      child.stdout.on('data', (part: string) => {
        told += part
        if (told.length > 200 * (round + 1)) child.kill('SIGKILL')
      })
      await once(child, 'close')
      const registry = fileRegistry(path)
      const pairs = told.split('\n').slice(0, -1)
      expect(pairs.length).toBeGreaterThan(5)
      for (const pair of pairs) {
        const [id, schema] = pair.split(' ')
        expect(await registry.schemaById(Number(id))).toBe(schema)
      }
    }
  })
})
