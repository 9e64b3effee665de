import { isDeepStrictEqual } from 'node:util'
import { describe, expect, test } from 'vitest'
import { avro } from '../../serdes/avro.ts'
import { SerdeError } from '../../serdes/errors.ts'
import { memoryRegistry } from '../../serdes/memory-registry.ts'
import { SchemaPending } from '../../serdes/serde.ts'
import type { Serde } from '../../serdes/serde.ts'
import { drawnSeed } from '../seed.ts'
import { RandomAvro, randomFrom } from './random-avro.ts'

const seed = drawnSeed(2 ** 32)
const SCHEMAS = 300

describe(`random Avro (MILLRACE_SEED=${seed})`, () => {
  test('values come back equal', async () => {
    const random = new RandomAvro(randomFrom(seed))
    for (let i = 0; i < SCHEMAS; i++) {
      const sample = random.sample()
      const serde = await (avro(sample.schema) as Serde<unknown>).open({
        topic: 't',
        role: 'value',
        registry: memoryRegistry(),
      })
      for (let j = 0; j < 10; j++) {
        const value = sample.value()
        const written = serde.serialize(value)
        const back = serde.deserialize(written, 0, written.length)
        if (!isDeepStrictEqual(back, value))
          expect(back, JSON.stringify(sample.schema)).toEqual(value)
      }
    }
  })

  test('values come back equal through the resolver of an equal schema', async () => {
    const random = new RandomAvro(randomFrom(seed + 1))
    for (let i = 0; i < SCHEMAS; i++) {
      const sample = random.sample()
      const registry = memoryRegistry()
      const record = {
        type: 'record',
        name: 'Whole',
        fields: [{ name: 'a', type: sample.schema }],
      } as const
      const more = {
        ...record,
        fields: [...record.fields, { name: 'b', type: 'string', default: 'x' }],
      } as const
      const from = await (avro(record) as Serde<unknown>).open({
        topic: 't',
        role: 'value',
        registry,
      })
      const to = await (avro(more) as Serde<unknown>).open({ topic: 't', role: 'value', registry })
      const value = sample.value()
      const written = from.serialize({ a: value })
      await pendingOf(() => to.deserialize(written, 0, written.length))?.load()
      const back = to.deserialize(written, 0, written.length)
      if (!isDeepStrictEqual(back, { a: value, b: 'x' })) {
        expect(back, JSON.stringify(sample.schema)).toEqual({ a: value, b: 'x' })
      }
      // The same bytes, of which nothing is wanted: every type is skipped.
      const less = {
        type: 'record',
        name: 'Whole',
        fields: [{ name: 'c', type: 'int', default: 1 }],
      } as const
      const none = await (avro(less) as Serde<unknown>).open({
        topic: 't',
        role: 'value',
        registry,
      })
      await pendingOf(() => none.deserialize(written, 0, written.length))?.load()
      expect(none.deserialize(written, 0, written.length)).toEqual({ c: 1 })
      for (let k = 0; k < 20; k++) {
        const damaged = damage(written, random)
        expectHarmless(() => to.deserialize(damaged, 0, damaged.length))
        expectHarmless(() => none.deserialize(damaged, 0, damaged.length))
      }
    }
  })

  test('damaged bytes are a SerdeError, a schema to fetch, or another value, and soon', async () => {
    const random = new RandomAvro(randomFrom(seed + 2))
    const outcomes = { value: 0, error: 0, pending: 0 }
    for (let i = 0; i < SCHEMAS; i++) {
      const sample = random.sample()
      const serde = await (avro(sample.schema) as Serde<unknown>).open({
        topic: 't',
        role: 'value',
        registry: memoryRegistry(),
      })
      const written = serde.serialize(sample.value())
      for (let j = 0; j < 50; j++) {
        const damaged = damage(written, random)
        outcomes[expectHarmless(() => serde.deserialize(damaged, 0, damaged.length))]++
      }
    }
    expect(outcomes.error).toBeGreaterThan(SCHEMAS)
    expect(outcomes.value).toBeGreaterThan(0)
    expect(outcomes.pending).toBeGreaterThan(0)
  })
})

function damage(bytes: Buffer, random: RandomAvro): Buffer {
  const damaged = Buffer.from(bytes)
  switch (random.below(4)) {
    case 0:
      return damaged.subarray(0, random.below(damaged.length + 1))
    case 1:
      return Buffer.concat([damaged, random.bytes(1 + random.below(10))])
    case 2:
      return Buffer.concat([damaged.subarray(0, 5), random.bytes(random.below(60))])
    default:
      for (let flips = 1 + random.below(3); flips > 0; flips--) {
        damaged[random.below(damaged.length)] = random.below(256)
      }
      return damaged
  }
}

function expectHarmless(read: () => unknown): 'value' | 'error' | 'pending' {
  try {
    read()
    return 'value'
  } catch (error) {
    if (error instanceof SchemaPending) return 'pending'
    expect(error).toBeInstanceOf(SerdeError)
    return 'error'
  }
}

function pendingOf(read: () => unknown): SchemaPending | undefined {
  try {
    read()
    return undefined
  } catch (error) {
    if (error instanceof SchemaPending) return error
    throw error
  }
}
