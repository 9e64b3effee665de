import { describe, expect, test } from 'vitest'
import { checkSchema } from '../../serdes/avro-schema.ts'
import { inlineReferences } from '../../serdes/schema-references.ts'

const fixed = (name: string, size = 1) => ({ type: 'fixed', name, size })
const record = (name: string, types: readonly unknown[], namespace?: string) => ({
  type: 'record',
  name,
  ...(namespace === undefined ? {} : { namespace }),
  fields: types.map((type, i) => ({ name: `f${i}`, type })),
})

describe('a schema that refers to others', () => {
  test.each([
    ['nothing', '"int" as it is', 'int', [], 'int'],
    ['a name', 'its definition', 'a.B', [fixed('a.B')], fixed('a.B')],
    [
      'a name twice',
      'its definition and then its name',
      ['null', { type: 'array', items: 'a.B' }, { type: 'map', values: 'a.B' }],
      [fixed('a.B')],
      ['null', { type: 'array', items: fixed('a.B') }, { type: 'map', values: 'a.B' }],
    ],
    [
      'a short name in its own namespace',
      'the type there',
      record('R', ['B'], 'a'),
      [fixed('a.B')],
      record('a.R', [fixed('a.B')]),
    ],
    [
      'a type inside a referenced record',
      'that type alone',
      'a.Inner',
      [record('Outer', [fixed('Inner')], 'a')],
      fixed('a.Inner'),
    ],
    [
      'a record and a type inside it',
      'the first at its place, the second by name',
      ['a.Outer', 'a.Inner'],
      [record('Outer', [fixed('Inner')], 'a')],
      [record('a.Outer', [fixed('a.Inner')]), 'a.Inner'],
    ],
    [
      'a record that contains itself',
      'the record once',
      'a.Node',
      [record('Node', [['null', 'Node']], 'a')],
      record('a.Node', [['null', 'a.Node']]),
    ],
    [
      'a type without a namespace, from one that has none either',
      'a definition that stays without',
      record('R', ['B', { type: 'B' }]),
      [fixed('B')],
      record('R', [fixed('B'), { type: 'B' }]),
    ],
    [
      'a primitive with attributes, and a type named in an object',
      'both',
      record('R', [{ type: 'long', logicalType: 'bigint' }, { type: 'a.B' }]),
      [fixed('a.B')],
      record('R', [{ type: 'long', logicalType: 'bigint' }, { type: fixed('a.B') }]),
    ],
  ] as const)('%s has %s', (_refers, _gives, schema, referenced, whole) => {
    const inlined = inlineReferences(schema, referenced)
    expect(inlined).toEqual(whole)
    // It is complete, and a second time changes nothing.
    checkSchema(inlined)
    expect(inlineReferences(inlined, referenced)).toEqual(whole)
  })

  test('keeps a type without a namespace out of the namespace around it', () => {
    const referenced = [record('Bare', [fixed('Inner')]), record('Named', ['int'], 'a')]
    const whole = inlineReferences({ type: 'array', items: ['Bare', 'a.Named'] }, referenced)
    expect([...checkSchema(whole).named.keys()]).toEqual(['Bare', 'Inner', 'a.Named'])
  })

  test('says of a type without a namespace inside one with that it has none', () => {
    const bare = { ...fixed('B'), namespace: '' }
    const whole = inlineReferences('a.R', [record('R', [bare, 'a.B', fixed('B', 2)], 'a')])
    expect([...checkSchema(whole).named.keys()]).toEqual(['a.R', 'B', 'a.B'])
  })

  test('refuses two definitions of one name that differ', () => {
    expect(() => inlineReferences('a.B', [fixed('a.B'), fixed('a.B', 2)])).toThrow(
      /two referenced schemas define a\.B/,
    )
    const inlined = inlineReferences(
      [fixed('a.B', 2), { type: 'array', items: 'a.B' }],
      [fixed('a.B')],
    )
    expect(() => checkSchema(inlined)).not.toThrow()
  })

  test('leaves a name that nobody defines to the check of the whole', () => {
    expect(() => checkSchema(inlineReferences('a.C', [fixed('a.B')]))).toThrow(/no type "a.C"/)
  })
})
