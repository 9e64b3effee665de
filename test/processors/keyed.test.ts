import { describe, expect, test } from 'vitest'
import type { Change } from '../../processors/change.ts'
import { changeSerde } from '../../processors/change-serde.ts'
import { processValues } from '../../processors/process-values.ts'
import { memoryRegistry } from '../../serdes/memory-registry.ts'
import { text } from '../../serdes/primitives.ts'
import { StreamRecord } from '../../model/record.ts'
import { runOperator } from './operator.ts'

describe('processValues', () => {
  test('forwards what keeps the key, and refuses another', async () => {
    const run = await runOperator(
      processValues<string, string, string>('step', {
        create: (context) => (record) => {
          const { timestamp, headers } = record
          if (record.value === 'move')
            context.forward(new StreamRecord('elsewhere', 'x', timestamp, headers))
          else context.forward(record.withValue(`${record.value}!`))
        },
      }),
    )
    run.send('a', 'x', 3)
    expect(() => run.send('a', 'move')).toThrow(/step forwards a record with another key/)
    run.send('b', 'y', 4)
    expect(run.taken()).toEqual([
      ['a', 'x!', 3],
      ['b', 'y!', 4],
    ])
  })
})

// Written by ChangedSerializer of Kafka Streams 4.1.0 with a StringSerializer.
const CHANGES: readonly (readonly [title: string, change: Change<string>, hex: string])[] = [
  ['a new value', { newValue: 'new', oldValue: null }, '6e657701'],
  ['an old value', { newValue: null, oldValue: 'old' }, '6f6c6400'],
  ['both', { newValue: 'new', oldValue: 'older' }, '066e65776f6c64657202'],
  ['empty texts', { newValue: '', oldValue: '' }, '0002'],
  ['a long new value', { newValue: 'n'.repeat(70), oldValue: 'o' }, `8c01${'6e'.repeat(70)}6f02`],
]

describe('the serde of changes', () => {
  const open = changeSerde(text).open({ topic: 't', role: 'value', registry: memoryRegistry() })

  test.each(CHANGES)('writes and reads %s as Kafka Streams does', async (_, change, hex) => {
    const serde = await open
    expect(serde.serialize(change).toString('hex')).toBe(hex)
    const padded = Buffer.from(`ff${hex}ff`, 'hex')
    expect(serde.deserialize(padded, 1, padded.length - 1)).toEqual(change)
  })

  test.each([
    ['nothing', ''],
    ['an unknown last byte', '6e03'],
    ['a length beyond the bytes', '206e02'],
    ['a negative length', '016e02'],
    ['a length that does not end', '8002'],
  ])('refuses %s', async (_, hex) => {
    const bytes = Buffer.from(hex, 'hex')
    const serde = await open
    expect(() => serde.deserialize(bytes, 0, bytes.length)).toThrow(
      expect.objectContaining({ code: 'MILLRACE_DESERIALIZATION' }),
    )
  })

  test('has no form for a change of nothing into nothing', async () => {
    const serde = await open
    expect(() => serde.serialize({ newValue: null, oldValue: null })).toThrow(TypeError)
  })
})
