/**
 * What every schema registry must do, wherever it keeps its schemas. The suite is handed the runner's
 * own `test`, and asserts by node:assert, so that it runs under any runner. Schemas are real Avro and
 * each check has subjects of its own, so that one shared registry with rules of its own can take it.
 */
import assert from 'node:assert/strict'
import { MillraceError } from '../model/errors.ts'
import { avro } from './avro.ts'
import type { TestFunction } from './conformance.ts'
import type { Registry } from './registry.ts'
import { SchemaPending } from './serde.ts'

/** How the suite comes to registries. */
export interface RegistryHarness {
  /** In front of each title. */
  readonly name: string
  /** A registry; whether it has schemas already does not matter. */
  readonly open: () => Promise<OpenRegistry>
}

/** A registry under test; disposing of it ends what it needs. */
export interface OpenRegistry extends AsyncDisposable {
  readonly registry: Registry
  /** Another one over the same schemas, which has seen none of them; undefined where they die with the first. */
  readonly reopen: (() => Promise<Registry>) | undefined
}

/** Declares the tests of the contract in registry.ts for one implementation. */
export function registryConformance(harness: RegistryHarness, test: TestFunction): void {
  for (const [title, run] of CHECKS) {
    test(`${harness.name} > ${title}`, async () => {
      await using opened = await harness.open()
      await run(opened)
    })
  }
}

const CHECKS: readonly [title: string, run: (opened: OpenRegistry) => Promise<void>][] = [
  ['gives a schema its id again, and another one another', givesIds],
  ['gives a schema one id under every subject', sharesIds],
  ['gives ids that fit into four bytes', givesSmallIds],
  ['keeps the versions of a schema apart', keepsVersions],
  ['knows a schema by its JSON, not by its text', comparesJson],
  ['gives the schema of an id back', givesSchemas],
  ['says which id it does not have', namesMissingIds],
  ['has a schema after its id was asked for too early', forgetsThatItMissed],
  ['refuses what is not JSON', refusesText],
  ['takes subjects of any characters', takesAnySubject],
  ['gives each schema one id when many register at once', standsCrowds],
  ['has the same ids when it is opened again', outlivesItself],
  ['carries the schemas of two Avro serdes', servesSerdes],
]

async function givesIds({ registry }: OpenRegistry): Promise<void> {
  const one = await registry.register('ids-one-value', fixed('IdsOne', 1))
  const two = await registry.register('ids-two-value', fixed('IdsTwo', 1))
  assert.notEqual(one, two)
  assert.equal(await registry.register('ids-one-value', fixed('IdsOne', 1)), one)
  assert.equal(await registry.register('ids-two-value', fixed('IdsTwo', 1)), two)
}

async function sharesIds({ registry }: OpenRegistry): Promise<void> {
  const id = await registry.register('shared-key', fixed('Shared', 2))
  assert.equal(await registry.register('shared-value', fixed('Shared', 2)), id)
}

async function givesSmallIds({ registry }: OpenRegistry): Promise<void> {
  const id = await registry.register('small-value', fixed('Small', 3))
  assert.ok(Number.isInteger(id) && id >= 0 && id < 2 ** 31, `${id} does not fit`)
}

async function keepsVersions({ registry }: OpenRegistry): Promise<void> {
  const first = await registry.register('versions-value', version(1))
  const second = await registry.register('versions-value', version(2))
  assert.notEqual(first, second)
  assertJson(await registry.schemaById(first), version(1))
  assertJson(await registry.schemaById(second), version(2))
  assert.equal(await registry.register('versions-value', version(1)), first)
}

async function comparesJson({ registry }: OpenRegistry): Promise<void> {
  const id = await registry.register('json-value', fixed('Json', 4))
  const spaced = '{ "size": 4,\n "name": "Json", "type": "fixed" }'
  assert.equal(await registry.register('json-value', spaced), id)
  // Order means something in an array.
  const union = await registry.register('json-union-value', '["null","int"]')
  assert.notEqual(await registry.register('json-other-union-value', '["int","null"]'), union)
}

async function givesSchemas({ registry }: OpenRegistry): Promise<void> {
  for (const schema of [fixed('Given', 5), version(3), '"string"', '["null","string"]']) {
    const id = await registry.register(`given-${schema.length}-value`, schema)
    assertJson(await registry.schemaById(id), schema)
  }
}

async function namesMissingIds({ registry }: OpenRegistry): Promise<void> {
  for (const id of [-1, 2 ** 31 - 1]) {
    const error = await rejectionOf(registry.schemaById(id))
    assert.ok(error instanceof MillraceError, `asking for schema ${id} gave ${String(error)}`)
    assert.equal(error.code, 'MILLRACE_UNKNOWN_SCHEMA')
    assert.match(error.message, new RegExp(`schema ${id}\\b`))
  }
}

async function forgetsThatItMissed({ registry }: OpenRegistry): Promise<void> {
  const id = await registry.register('early-one-value', fixed('EarlyOne', 1))
  await rejectionOf(registry.schemaById(id + 1))
  const next = await registry.register('early-two-value', fixed('EarlyTwo', 1))
  assertJson(await registry.schemaById(next), fixed('EarlyTwo', 1))
}

async function refusesText({ registry }: OpenRegistry): Promise<void> {
  const error = await rejectionOf(registry.register('text-value', '{'))
  assert.ok(error instanceof MillraceError, `a text that is not JSON gave ${String(error)}`)
  assert.equal(error.code, 'MILLRACE_BAD_SCHEMA')
}

async function takesAnySubject({ registry }: OpenRegistry): Promise<void> {
  for (const [at, subject] of ['a/b c-value', 'ü?#%2F&=-key', 'a..b-value'].entries()) {
    const id = await registry.register(subject, fixed(`Subject${at}`, 6))
    assert.equal(await registry.register(subject, fixed(`Subject${at}`, 6)), id)
  }
}

async function standsCrowds({ registry }: OpenRegistry): Promise<void> {
  const ids = await Promise.all(
    Array.from({ length: 60 }, (_, i) =>
      registry.register(`crowd-${i}-value`, fixed(`Crowd${i % 20}`, 7)),
    ),
  )
  assert.equal(new Set(ids).size, 20)
  for (const [i, id] of ids.entries()) assert.equal(id, ids[i % 20])
}

async function outlivesItself({ registry, reopen }: OpenRegistry): Promise<void> {
  const id = await registry.register('again-value', version(4))
  // A registry that dies with its process has nothing to keep.
  const again = (await reopen?.()) ?? registry
  assertJson(await again.schemaById(id), version(4))
  assert.equal(await again.register('again-value', version(4)), id)
  const next = await again.register('again-other-value', fixed('Again', 8))
  assertJson(await registry.schemaById(next), fixed('Again', 8))
}

async function servesSerdes({ registry, reopen }: OpenRegistry): Promise<void> {
  const context = { topic: 'serdes', role: 'value' } as const
  const writer = await avro(WRITTEN).open({ ...context, registry })
  const again = (await reopen?.()) ?? registry
  const reader = await avro(READ).open({ ...context, registry: again })
  const bytes = writer.serialize({ n: 7 })
  const pending = thrownBy(() => reader.deserialize(bytes, 0, bytes.length))
  assert.ok(pending instanceof SchemaPending, `the writer's schema was not asked for`)
  await pending.load()
  assert.deepEqual(reader.deserialize(bytes, 0, bytes.length), { n: 7, text: 'none' })
}

const WRITTEN = {
  type: 'record',
  name: 'Evolved',
  namespace: 'millrace.conformance',
  fields: [{ name: 'n', type: 'int' }],
} as const

const READ = {
  ...WRITTEN,
  fields: [
    { name: 'n', type: 'int' },
    { name: 'text', type: 'string', default: 'none' },
  ],
} as const

function fixed(name: string, size: number): string {
  return JSON.stringify({ type: 'fixed', name, size })
}

/** Schemas of which each is a later version of those before it, compatible in every direction. */
function version(fields: number): string {
  return JSON.stringify({
    type: 'record',
    name: 'Versioned',
    namespace: 'millrace.conformance',
    fields: Array.from({ length: fields }, (_, i) => ({
      name: `field${i}`,
      type: 'long',
      default: 0,
    })),
  })
}

function assertJson(found: string, expected: string): void {
  assert.deepEqual(JSON.parse(found), JSON.parse(expected))
}

async function rejectionOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => assert.fail(`it gave ${JSON.stringify(value)} instead of an error`),
    (error: unknown) => error,
  )
}

function thrownBy(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    return error
  }
}
