import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../runtime/system-clock.ts'
import type { HttpRegistry } from '../../serdes/http-registry-contract.ts'
import { httpRegistry } from '../../serdes/http-registry.ts'
import { registryConformance } from '../../serdes/registry-conformance.ts'
import { Apicurio } from './apicurio.ts'

let apicurio: Apicurio
const client = (): HttpRegistry => httpRegistry({ url: apicurio.url, clock: systemClock() })

beforeAll(async () => {
  apicurio = await Apicurio.start()
})

afterAll(async () => {
  await apicurio[Symbol.asyncDispose]()
})

registryConformance(
  {
    name: 'httpRegistry over Apicurio',
    open: async () => ({
      registry: client(),
      reopen: async () => client(),
      async [Symbol.asyncDispose]() {},
    }),
  },
  test,
)

const point = (fields: number): string =>
  JSON.stringify({
    type: 'record',
    name: 'Point',
    namespace: 'geo',
    fields: Array.from({ length: fields }, (_, i) => ({ name: `x${i}`, type: 'int' })),
  })

test('a schema that refers to another one comes back whole', async () => {
  const registry = client()
  await registry.register('geo.Point', point(1))
  const references = [{ name: 'geo.Point', subject: 'geo.Point', version: 1 }]
  const line = {
    type: 'record',
    name: 'Line',
    namespace: 'geo',
    fields: ['from', 'to'].map((name) => ({ name, type: 'geo.Point' })),
  }
  const id = await registry.register('lines-value', JSON.stringify(line), { references })
  const found = await registry.lookUp('lines-value', JSON.stringify(line), { references })
  expect(found).toMatchObject({ id, version: 1 })
  expect(JSON.parse(await client().schemaById(id))).toEqual({
    type: 'record',
    name: 'geo.Line',
    fields: [
      {
        name: 'from',
        type: { type: 'record', name: 'geo.Point', fields: [{ name: 'x0', type: 'int' }] },
      },
      { name: 'to', type: 'geo.Point' },
    ],
  })
})

test('versions and rules are the registry’s', async () => {
  const registry = client()
  expect(await registry.versions('rules-value')).toEqual([])
  expect(await registry.checkCompatibility('rules-value', point(1))).toMatchObject({
    isCompatible: true,
  })
  const id = await registry.register('rules-value', point(2))
  await registry.setCompatibility('rules-value', 'BACKWARD')
  expect(await registry.compatibility('rules-value')).toBe('BACKWARD')
  expect(await registry.checkCompatibility('rules-value', point(3))).toMatchObject({
    isCompatible: false,
  })
  await expect(registry.register('rules-value', point(3))).rejects.toMatchObject({
    code: 'MILLRACE_REGISTRY_INCOMPATIBLE',
  })
  const narrower = await registry.register('rules-value', point(1))
  expect(await registry.versions('rules-value')).toEqual([1, 2])
  expect(await registry.version('rules-value', 1)).toMatchObject({ id })
  expect(await registry.version('rules-value', 'latest')).toMatchObject({ id: narrower })
  await expect(registry.version('rules-value', 9)).rejects.toMatchObject({
    code: 'MILLRACE_UNKNOWN_SCHEMA',
  })
})

test('what is no Avro, and what is not there, is said so', async () => {
  const registry = client()
  await expect(registry.register('bad-value', '{"type":"nonsense"}')).rejects.toMatchObject({
    code: 'MILLRACE_BAD_SCHEMA',
  })
  expect(await registry.lookUp('bad-value', point(1))).toBeUndefined()
  const elsewhere = httpRegistry({
    url: apicurio.url.replace('/apis/ccompat/v7', ''),
    clock: systemClock(),
  })
  await expect(elsewhere.schemaById(1)).rejects.toMatchObject({
    code: 'MILLRACE_REGISTRY_BAD_ANSWER',
    message: expect.stringContaining('/apis/ccompat/v7') as unknown,
  })
})
