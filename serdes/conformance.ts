/**
 * What every serde must do, whoever wrote it. The suite is handed the runner's own `test`, and asserts
 * by node:assert, so that it runs under any runner.
 */
import assert from 'node:assert/strict'
import { MillraceError } from '../model/errors.ts'
import { memoryRegistry } from './memory-registry.ts'
import type { Registry } from './registry.ts'
import type { OpenSerde, Serde } from './serde.ts'
import { SchemaPending } from './serde.ts'

/** A serde and what is known about it. */
export interface SerdeSuite<T> {
  /** In front of each title. */
  readonly name: string
  readonly serde: Serde<T>
  /** Values that come back equal; at least one. */
  readonly samples: readonly T[]
  /** Bodies (what follows the prefix) that must be refused. */
  readonly invalid?: readonly Buffer[]
  /** Values, of any type, that must be refused. */
  readonly refused?: readonly unknown[]
}

/** The runner's `test` or `it`: a title and what to run. */
export type TestFunction = (title: string, run: () => Promise<void>) => unknown

/** Declares the tests of the contract in serde.ts for one serde. */
export function serdeConformance<T>(suite: SerdeSuite<T>, test: TestFunction): void {
  const checks: readonly [title: string, run: (suite: SerdeSuite<T>) => Promise<void>][] = [
    ['every sample comes back equal from the middle of a buffer', comesBackEqual],
    ['reading leaves the buffer as it was', leavesTheBuffer],
    ['what was written stays as it was when more is written', staysAsItWas],
    ['every value begins with the prefix, and equal values have equal bytes', isStable],
    ['without the prefix, bytes do not depend on the ids of a registry', hasNoIdInItsBody],
    ['cut bytes are a MillraceError or a value, and nothing else', survivesCuts],
    ['bytes that do not fit are MILLRACE_DESERIALIZATION', refusesBytes],
    ['values that do not fit are MILLRACE_SERIALIZATION', refusesValues],
  ]
  for (const [title, run] of checks) test(`${suite.name} > ${title}`, () => run(suite))
}

async function comesBackEqual<T>(suite: SerdeSuite<T>): Promise<void> {
  const open = await opened(suite)
  assert.ok(suite.samples.length > 0, 'a suite needs samples')
  for (const sample of suite.samples) {
    const written = open.serialize(sample)
    const around = Buffer.concat([Buffer.from([0xff, 1]), written, Buffer.from([0xff, 2, 3])])
    assert.deepStrictEqual(open.deserialize(around, 2, 2 + written.length), sample)
  }
}

async function leavesTheBuffer<T>(suite: SerdeSuite<T>): Promise<void> {
  const open = await opened(suite)
  for (const sample of suite.samples) {
    const written = open.serialize(sample)
    const copy = Buffer.from(written)
    open.deserialize(written, 0, written.length)
    assert.deepStrictEqual(written, copy)
  }
}

async function staysAsItWas<T>(suite: SerdeSuite<T>): Promise<void> {
  const open = await opened(suite)
  const written = suite.samples.map((sample) => open.serialize(sample))
  const copies = written.map((one) => Buffer.from(one))
  for (let round = 0; round < 100; round++) {
    for (const sample of suite.samples) open.serialize(sample)
  }
  assert.deepStrictEqual(written, copies)
}

async function isStable<T>(suite: SerdeSuite<T>): Promise<void> {
  const registry = memoryRegistry()
  const [one, two] = [await opened(suite, registry), await opened(suite, registry)]
  for (const sample of suite.samples) {
    const written = one.serialize(sample)
    assert.deepStrictEqual(written.subarray(0, one.prefix.length), one.prefix)
    assert.deepStrictEqual(two.serialize(sample), written)
  }
}

async function hasNoIdInItsBody<T>(suite: SerdeSuite<T>): Promise<void> {
  const other = memoryRegistry()
  await other.register('other-value', '{"type":"fixed","name":"TakesTheFirstId","size":1}')
  const [one, two] = [await opened(suite), await opened(suite, other)]
  for (const sample of suite.samples) assert.deepStrictEqual(body(one, sample), body(two, sample))
}

async function survivesCuts<T>(suite: SerdeSuite<T>): Promise<void> {
  const open = await opened(suite)
  for (const sample of suite.samples) {
    const written = open.serialize(sample)
    const step = Math.max(1, Math.floor(written.length / 200))
    for (let end = 0; end < written.length; end += step) {
      const error = thrownBy(() => open.deserialize(written, 0, end))
      const allowed = error === undefined || isExpected(error)
      assert.ok(allowed, `cut to ${end} of ${written.length} bytes: ${String(error)}`)
    }
  }
}

async function refusesBytes<T>(suite: SerdeSuite<T>): Promise<void> {
  const open = await opened(suite)
  for (const invalid of suite.invalid ?? []) {
    const bytes = Buffer.concat([open.prefix, invalid])
    const error = thrownBy(() => open.deserialize(bytes, 0, bytes.length))
    assert.ok(error instanceof MillraceError, `${invalid.toString('hex')} gave ${String(error)}`)
    assert.equal(error.code, 'MILLRACE_DESERIALIZATION')
  }
}

async function refusesValues<T>(suite: SerdeSuite<T>): Promise<void> {
  const open = await opened(suite)
  for (const refused of suite.refused ?? []) {
    // What a caller without types might pass.
    const error = thrownBy(() => open.serialize(refused as T))
    assert.ok(error instanceof MillraceError, `${String(refused)} gave ${String(error)}`)
    assert.equal(error.code, 'MILLRACE_SERIALIZATION')
  }
}

function opened<T>(
  suite: SerdeSuite<T>,
  registry: Registry = memoryRegistry(),
): Promise<OpenSerde<T>> {
  return suite.serde.open({ topic: 'conformance', role: 'value', registry })
}

function body<T>(open: OpenSerde<T>, value: T): Buffer {
  return open.serialize(value).subarray(open.prefix.length)
}

function thrownBy(run: () => unknown): unknown {
  try {
    run()
    return undefined
  } catch (error) {
    return error
  }
}

function isExpected(error: unknown): boolean {
  return error instanceof MillraceError || error instanceof SchemaPending
}
