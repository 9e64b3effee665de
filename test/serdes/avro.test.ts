import { describe, expect, test } from 'vitest'
import { isMillraceError } from '../../model/errors.ts'
import { avro } from '../../serdes/avro.ts'
import type { AvroSchema } from '../../serdes/avro-type.ts'
import { SerdeError } from '../../serdes/errors.ts'
import { memoryRegistry } from '../../serdes/memory-registry.ts'
import type { Registry } from '../../serdes/registry.ts'
import { SchemaPending } from '../../serdes/serde.ts'
import type { OpenSerde, Serde } from '../../serdes/serde.ts'

const open = <T>(serde: Serde<T>, registry: Registry = memoryRegistry()): Promise<OpenSerde<T>> =>
  serde.open({ topic: 'videos', role: 'value', registry })

function read<T>(serde: OpenSerde<T>, bytes: Buffer): T {
  return serde.deserialize(bytes, 0, bytes.length)
}

function errorOf(run: () => unknown): SerdeError {
  try {
    run()
  } catch (error) {
    if (error instanceof SerdeError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

const enumSchema = { type: 'enum', name: 'E', symbols: ['A', 'B', 'C'] }
const fixedSchema = { type: 'fixed', name: 'F', size: 3 }
const uuidSchema = { type: 'fixed', name: 'U', size: 16, logicalType: 'uuid' }
const bigSchema = { type: 'long', logicalType: 'bigint' }
const recordSchema = {
  type: 'record',
  name: 'x.R',
  fields: [
    { name: 'id', type: 'string' },
    { name: 'n', type: 'long' },
    { name: 'flag', type: 'boolean' },
  ],
}
const treeSchema = {
  type: 'record',
  name: 'Tree',
  fields: [
    { name: 'v', type: 'int' },
    { name: 'kids', type: { type: 'array', items: 'Tree' } },
  ],
}

// The bytes were made by fastavro, an implementation of its own.
const GOLDEN: readonly [schema: unknown, value: unknown, bytes: string][] = [
  ['null', null, ''],
  ['boolean', true, '01'],
  ['boolean', false, '00'],
  ['int', 0, '00'],
  ['int', -1, '01'],
  ['int', 2147483647, 'feffffff0f'],
  ['int', -2147483648, 'ffffffff0f'],
  ['long', 1, '02'],
  ['long', -64, '7f'],
  ['long', 64, '8001'],
  ['long', 1073741824, '8080808008'],
  ['long', -1073741825, '8180808008'],
  ['long', 9007199254740991, 'feffffffffffff1f'],
  ['long', -9007199254740991, 'fdffffffffffff1f'],
  ['long', -4503599627370497, '8180808080808010'],
  ['long', 34359738368, '808080808002'],
  [bigSchema, 1n, '02'],
  [bigSchema, -4503599627370497n, '8180808080808010'],
  [bigSchema, 9223372036854775807n, 'feffffffffffffffff01'],
  [bigSchema, -9223372036854775808n, 'ffffffffffffffffff01'],
  [bigSchema, 72057594037927936n, '808080808080808002'],
  [bigSchema, 36028797018976313n, 'f2c081808080808001'],
  ['float', 1.5, '0000c03f'],
  ['double', -0.1, '9a9999999999b9bf'],
  ['bytes', Buffer.from([0, 255]), '0400ff'],
  ['string', '', '00'],
  ['string', 'video', '0a766964656f'],
  ['string', 'é€😀', '12c3a9e282acf09f9880'],
  ['string', 'x'.repeat(64), `8001${'78'.repeat(64)}`],
  [enumSchema, 'C', '04'],
  [fixedSchema, Buffer.from('abc'), '616263'],
  [uuidSchema, '00112233-4455-6677-8899-aabbccddeeff', '00112233445566778899aabbccddeeff'],
  [{ type: 'array', items: 'int' }, [1, -2, 300], '060203d80400'],
  [{ type: 'array', items: 'int' }, [], '00'],
  [{ type: 'map', values: 'long' }, { a: 1, b: -1 }, '0402610202620100'],
  [['null', 'string'], null, '00'],
  [['null', 'string'], 'a', '020261'],
  [['null', 'bytes', 'double'], 2, '040000000000000040'],
  [['null', bigSchema], 64n, '028001'],
  [
    ['null', uuidSchema, 'bytes'],
    '00112233-4455-6677-8899-aabbccddeeff',
    '0200112233445566778899aabbccddeeff',
  ],
  [recordSchema, { id: 'v-1', n: 123456789, flag: true }, '06762d31aab4de7501'],
  [
    treeSchema,
    {
      v: 1,
      kids: [
        { v: 2, kids: [] },
        { v: 3, kids: [{ v: 4, kids: [] }] },
      ],
    },
    '02040400060208000000',
  ],
]

describe('the wire format', () => {
  test.each(GOLDEN)('of %j: %s is %s', async (schema, value, body) => {
    const serde = await open(avro(schema as AvroSchema) as Serde<unknown>)
    const bytes = Buffer.from(`0000000001${body}`, 'hex')
    expect(serde.serialize(value)).toEqual(bytes)
    expect(read(serde, bytes)).toStrictEqual(value)
  })

  test('carries the id of the registry, which the prefix says', async () => {
    const registry = memoryRegistry()
    for (let i = 0; i < 300; i++) await registry.register('other', `{"type":"fixed","size":${i}}`)
    const serde = await open(avro('int'), registry)
    expect(serde.prefix.toString('hex')).toBe('000000012d')
    expect(serde.serialize(1).toString('hex')).toBe('000000012d02')
  })

  test('registers the schema under topic and role', async () => {
    const calls: string[] = []
    const registry: Registry = {
      register: async (subject, schema) => calls.push(`${subject} ${schema}`),
      schemaById: async () => '',
    }
    await avro('int').open({ topic: 'videos', role: 'key', registry })
    await avro('long').open({ topic: 'videos', role: 'value', registry })
    expect(calls).toEqual(['videos-key "int"', 'videos-value "long"'])
  })

  test('reads arrays and maps in blocks with a size, as other writers make them', async () => {
    const list = await open(avro({ type: 'array', items: 'int' }))
    // A block of -2 items in 2 bytes, then a block of 1 item, then the end.
    expect(read(list, Buffer.from('0000000001' + '030402040206' + '00', 'hex'))).toEqual([1, 2, 3])
    const map = await open(avro({ type: 'map', values: 'int' }))
    expect(read(map, Buffer.from('0000000001' + '0106026102' + '00', 'hex'))).toEqual({ a: 1 })
  })
})

describe('bytes', () => {
  test('of ten megabytes are a view on the buffer that was read', async () => {
    const serde = await open(
      avro({
        type: 'record',
        name: 'Chunk',
        fields: [
          { name: 'id', type: 'string' },
          { name: 'bytes', type: 'bytes' },
        ],
      }),
    )
    const value = { id: 'a', bytes: Buffer.alloc(10 << 20, 7) }
    const written = serde.serialize(value)
    const back = read(serde, written)
    expect(back.bytes.buffer).toBe(written.buffer)
    expect(back.bytes.byteOffset).toBe(written.byteOffset + written.length - (10 << 20))
    expect(back.bytes.equals(value.bytes)).toBe(true)
  })

  test('written into a buffer that is hardly longer than they are', async () => {
    const serde = await open(avro('bytes'))
    for (const size of [1, 100, 3_000, 9_000, 10 << 20, 10 << 20, 9 << 20, 3, 1 << 20, 1 << 20]) {
      const written = serde.serialize(Buffer.alloc(size, 1))
      expect(read(serde, written).length).toBe(size)
      expect(written.buffer.byteLength).toBeLessThanOrEqual(Math.max(8_192, written.length * 1.13))
    }
  })
})

test('a field that is left out is written as its default', async () => {
  const defaults = {
    small: 7,
    huge: 9_007_199_254_740_991,
    id: '\u0001'.repeat(16),
    bytes: '\u00ff\u0000',
    list: [1, 2],
    name: null,
  }
  const types = {
    small: 'int',
    huge: bigSchema,
    id: uuidSchema,
    bytes: 'bytes',
    list: { type: 'array', items: 'int' },
    name: ['null', 'string'],
  }
  const fields = Object.entries(types).map(([name, type]) => ({
    name,
    type,
    default: defaults[name as keyof typeof defaults],
  }))
  const schema = { type: 'record', name: 'R', fields }
  const serde = await open(avro(schema as AvroSchema) as Serde<unknown>)
  expect(read(serde, serde.serialize({ small: 8 }))).toStrictEqual({
    small: 8,
    huge: 9_007_199_254_740_991n,
    id: '01010101-0101-0101-0101-010101010101',
    bytes: Buffer.from([255, 0]),
    list: [1, 2],
    name: null,
  })
})

describe('named types', () => {
  const Point = {
    type: 'record',
    name: 'Point',
    fields: [
      { name: 'x', type: 'int' },
      { name: 'y', type: 'int' },
    ],
  } as const

  test('given as an object more than once are defined once and referred to after', async () => {
    const Line = avro({
      type: 'record',
      name: 'Line',
      namespace: 'geo',
      fields: [
        { name: 'from', type: Point },
        { name: 'to', type: Point },
        { name: 'over', type: { type: 'array', items: Point } },
      ],
    })
    const registry = memoryRegistry()
    const serde = await open(Line, registry)
    const line = { from: { x: 1, y: 2 }, to: { x: 3, y: 4 }, over: [{ x: 5, y: 6 }] }
    expect(read(serde, serde.serialize(line))).toStrictEqual(line)
    expect(JSON.parse(await registry.schemaById(1))).toMatchObject({
      name: 'geo.Line',
      fields: [
        { type: { name: 'geo.Point' } },
        { type: 'geo.Point' },
        { type: { items: 'geo.Point' } },
      ],
    })
  })

  test('defined twice and differently are refused', () => {
    const other = { ...Point, fields: [{ name: 'x', type: 'int' }] } as const
    const error = errorOf(() =>
      avro({
        type: 'record',
        name: 'L',
        fields: [
          { name: 'a', type: Point },
          { name: 'b', type: other },
        ],
      }),
    )
    expect(error).toMatchObject({ code: 'MILLRACE_BAD_SCHEMA', path: 'L.b' })
    expect(error.message).toContain('defined twice, and differently')
  })

  test('without a namespace keep to none inside a namespace', async () => {
    const registry = memoryRegistry()
    const serde = avro({
      type: 'record',
      name: 'geo.Line',
      fields: [{ name: 'from', type: { ...Point, namespace: '' } }],
    })
    const one = await open(serde, registry)
    expect(read(one, one.serialize({ from: { x: 1, y: 2 } }))).toEqual({ from: { x: 1, y: 2 } })
    expect(await registry.schemaById(1)).toContain('"namespace":""')
  })
})

describe('a schema that is not Avro', () => {
  const record = (...fields: unknown[]): unknown => ({ type: 'record', name: 'a.R', fields })

  test.each<[unknown, string, string]>([
    ['strin', '', 'no type "strin"'],
    [null, '', 'found null'],
    [{}, '', "expected a property 'type'"],
    [[], '', 'at least one branch'],
    [{ type: 'record', fields: [] }, '', 'needs a name'],
    [{ type: 'record', name: 'a b', fields: [] }, '', 'cannot be a name'],
    [{ type: 'record', name: 'int', fields: [] }, '', 'cannot be a name'],
    [{ type: 'record', name: 'R' }, 'R', "needs an array 'fields'"],
    [record({ name: '1a', type: 'int' }), 'R', 'field 0 needs a name'],
    [record({ name: '__proto__', type: 'int' }), 'R', '__proto__'],
    [
      record({ name: 'a', type: 'int' }, { name: 'a', type: 'int' }),
      'R',
      'two fields are called a',
    ],
    [record({ name: 'a', type: 'int', default: 'x' }), 'R', 'default'],
    [record({ name: 'a', type: { type: 'array', items: 'b.S' } }), 'R.a[]', 'no type "b.S"'],
    [record({ name: 'a', type: { type: 'map' } }), 'R.a{}', 'found undefined'],
    [record({ name: 'a', type: ['null', record()] }), 'R.a<branch 1>', 'defined twice'],
    [record({ name: 'a', type: ['int', 'double'] }), 'R.a', 'cannot be told apart'],
    [
      record({
        name: 'a',
        type: ['string', { type: 'fixed', name: 'U', size: 16, logicalType: 'uuid' }],
      }),
      'R.a',
      'cannot be told apart',
    ],
    [record({ name: 'a', type: ['null', 'null'] }), 'R.a', 'duplicate'],
    [
      record({ name: 'a', type: { type: 'enum', name: 'E', symbols: ['A', 'A'] } }),
      'R.a',
      'duplicate',
    ],
    [record({ name: 'a', type: { type: 'enum', name: 'E', symbols: ['a-b'] } }), 'R.a', 'symbol'],
    [record({ name: 'a', type: { type: 'fixed', name: 'F', size: -1 } }), 'R.a', 'size'],
  ])('%j is refused at %s: %s', (schema, path, part) => {
    const error = errorOf(() => avro(schema as AvroSchema))
    expect(error).toMatchObject({ code: 'MILLRACE_BAD_SCHEMA', path })
    expect(error.message).toContain(part)
  })
})

describe('an error of writing', () => {
  const Shot = {
    type: 'record',
    name: 'Shot',
    fields: [{ name: 'label', type: 'string' }],
  } as const
  const Video = avro({
    type: 'record',
    name: 'Video',
    fields: [
      { name: 'shots', type: { type: 'array', items: Shot } },
      { name: 'tags', type: { type: 'map', values: 'int' } },
      { name: 'bytes', type: ['null', 'bytes'] },
    ],
  })
  const good = { shots: [{ label: 'a' }], tags: {}, bytes: null }

  // Path and message first: the runner would print ten megabytes into a title.
  test.each<[string, string, () => object]>([
    [
      'shots[1].label',
      'expected well-formed text, found number 7',
      () => ({ shots: [{ label: 'a' }, { label: 7 }] }),
    ],
    ['shots[0].label', 'expected well-formed text', () => ({ shots: [{ label: '\ud800' }] })],
    ['shots', 'expected an array, found null', () => ({ shots: null })],
    [
      'tags["a b"]',
      'expected a whole number of 32 bits, found number 1.5',
      () => ({ tags: { 'a b': 1.5 } }),
    ],
    ['bytes', 'found Uint8Array of 3 bytes (00 00 00)', () => ({ bytes: new Uint8Array(3) })],
    ['bytes', 'found object { big }', () => ({ bytes: { big: Buffer.alloc(10 << 20) } })],
    ['bytes', 'found array of 1', () => ({ bytes: [Buffer.alloc(10 << 20)] })],
    ['shots', 'found Buffer of 10485760 bytes (00 00', () => ({ shots: Buffer.alloc(10 << 20) })],
  ])('names the field: %s: %s', async (path, part, change) => {
    const serde: OpenSerde<unknown> = await open<unknown>(Video)
    const error = errorOf(() => serde.serialize({ ...good, ...change() }))
    expect(error).toMatchObject({ code: 'MILLRACE_SERIALIZATION', path, schemaId: 1 })
    expect(error.message).toContain(part)
    expect(error.message.length).toBeLessThan(400)
    expect(read(serde, serde.serialize(good))).toEqual(good)
  })

  test('says beyond which numbers a long is not safe', async () => {
    const serde = await open(avro('long'))
    expect(errorOf(() => serde.serialize(2 ** 53)).message).toContain('within ±(2^53 - 1)')
    const big = await open(avro({ type: 'long', logicalType: 'bigint' }))
    expect(errorOf(() => big.serialize(2n ** 63n)).message).toContain('a bigint of 64 bits')
  })
})

describe('an error of reading', () => {
  test('names the schema, the field and the byte', async () => {
    const serde = await open(
      avro({
        type: 'record',
        name: 'V',
        fields: [{ name: 'list', type: { type: 'array', items: 'string' } }],
      }),
    )
    const written = serde.serialize({ list: ['a', 'bc'] })
    const error = errorOf(() => serde.deserialize(written, 0, written.length - 2))
    expect(error).toMatchObject({ code: 'MILLRACE_DESERIALIZATION', path: 'list[1]', schemaId: 1 })
    expect(error.message).toContain('by schema 1 (V), field list[1]')
    expect(error.at('videos[0]@7')).toMatchObject({ place: 'videos[0]@7', path: 'list[1]' })
  })

  test.each([
    ['what is not in the wire format', '0102'],
    ['another magic byte', '010000000102'],
    ['bytes left over', '00000000010200'],
    ['no value', '0000000001'],
  ])('comes of %s', async (_what, bytes) => {
    const serde = await open(avro('int'))
    expect(errorOf(() => read(serde, Buffer.from(bytes, 'hex'))).code).toBe(
      'MILLRACE_DESERIALIZATION',
    )
  })

  test.each<[string, AvroSchema, string]>([
    ['a list', { type: 'array', items: 'long' }, 'feffffffffffff1f'],
    ['a list of nothing', { type: 'array', items: 'null' }, 'feffffffffffff1f00'],
    [
      'lists of nothing',
      { type: 'array', items: { type: 'array', items: 'null' } },
      '0a' + '80f10400'.repeat(5),
    ],
    ['a map', { type: 'map', values: 'long' }, 'feffffffffffff1f'],
    ['bytes', 'bytes', 'feffffffffffff1f'],
    ['text', 'string', 'feffffff0f'],
    ['bytes of negative size', 'bytes', '03'],
  ])('comes at once where %s claims to be huge', async (_what, schema, body) => {
    const serde = await open(avro(schema))
    const bytes = Buffer.from(`0000000001${body}`, 'hex')
    expect(errorOf(() => read(serde, bytes)).code).toBe('MILLRACE_DESERIALIZATION')
  })

  test('is a SerdeError, too, where values are nested without end', async () => {
    const serde = await open(
      avro({ type: 'record', name: 'N', fields: [{ name: 'next', type: ['null', 'N'] }] }),
    )
    const bytes = Buffer.concat([serde.prefix, Buffer.alloc(5_000_000, 2)])
    expect(errorOf(() => read(serde, bytes)).code).toBe('MILLRACE_DESERIALIZATION')
  })

  test('does not come of a list of nothing that is as short as it says', async () => {
    const serde = await open(avro({ type: 'array', items: 'null' }))
    const nothing = Array.from({ length: 50_000 }, () => null)
    expect(read(serde, serde.serialize(nothing))).toEqual(nothing)
  })

  test('does not come of a key called __proto__, which stays a key', async () => {
    const serde = await open(avro({ type: 'map', values: 'string' }))
    const map = JSON.parse('{"__proto__":"a","b":"c"}') as { readonly [key: string]: string }
    const back = read(serde, serde.serialize(map))
    expect(Object.entries(back)).toEqual([
      ['__proto__', 'a'],
      ['b', 'c'],
    ])
    expect(Object.getPrototypeOf(back)).toBe(Object.prototype)
  })
})

describe('evolution', () => {
  /** Writes with one schema and reads with another over one registry. */
  async function across(writer: unknown, value: unknown, reader: unknown): Promise<unknown> {
    const registry = memoryRegistry()
    const from = await open(avro(writer as AvroSchema) as Serde<unknown>, registry)
    const to = await open(avro(reader as AvroSchema) as Serde<unknown>, registry)
    const bytes = from.serialize(value)
    try {
      return read(to, bytes)
    } catch (error) {
      if (!(error instanceof SchemaPending)) throw error
      await error.load()
      return read(to, bytes)
    }
  }
  const record = (...fields: object[]): object => ({ type: 'record', name: 'R', fields })

  test.each<[string, unknown, unknown, unknown, unknown]>([
    [
      'a new field by its default',
      record({ name: 'a', type: 'int' }),
      { a: 1 },
      record({ name: 'a', type: 'int' }, { name: 'b', type: ['null', 'string'], default: null }),
      { a: 1, b: null },
    ],
    [
      'a bigint default',
      record({ name: 'a', type: 'int' }),
      { a: 1 },
      record({ name: 'b', type: bigSchema, default: 7 }),
      { b: 7n },
    ],
    [
      'a field that is gone',
      record({ name: 'a', type: 'bytes' }, { name: 'b', type: 'int' }),
      { a: Buffer.alloc(9), b: 1 },
      record({ name: 'b', type: 'int' }),
      { b: 1 },
    ],
    [
      'fields in another order',
      record({ name: 'a', type: 'int' }, { name: 'b', type: 'string' }),
      { a: 1, b: 'x' },
      record({ name: 'b', type: 'string' }, { name: 'a', type: 'int' }),
      { b: 'x', a: 1 },
    ],
    [
      'a renamed field',
      record({ name: 'a', type: 'int' }),
      { a: 1 },
      record({ name: 'b', type: 'int', aliases: ['a'] }),
      { b: 1 },
    ],
    [
      'a renamed record',
      { ...record({ name: 'a', type: 'int' }), name: 'Old' },
      { a: 1 },
      { ...record({ name: 'a', type: 'int' }), aliases: ['Old'] },
      { a: 1 },
    ],
    [
      'a record of another namespace',
      { ...record({ name: 'a', type: 'int' }), namespace: 'x' },
      { a: 1 },
      { ...record({ name: 'a', type: 'int' }), namespace: 'y' },
      { a: 1 },
    ],
    ['int as long', 'int', -5, 'long', -5],
    ['int as double', 'int', 5, 'double', 5],
    ['int as bigint', 'int', -5, bigSchema, -5n],
    ['long as bigint', 'long', -(2 ** 53 - 1), bigSchema, -(2n ** 53n - 1n)],
    ['bigint as long', bigSchema, 5n, 'long', 5],
    ['long as float', 'long', 5, 'float', 5],
    ['float as double', 'float', 1.5, 'double', 1.5],
    ['string as bytes', 'string', 'a', 'bytes', Buffer.from('a')],
    ['bytes as string', 'bytes', Buffer.from('é'), 'string', 'é'],
    ['string as the string of a union', 'string', 'a', ['bytes', 'string'], 'a'],
    ['one type as a union', 'int', 1, ['null', 'long'], 1],
    ['a union as one of its types', ['null', 'int'], 1, 'int', 1],
    ['a union as a larger one', ['null', 'string'], 'a', ['null', 'long', 'string'], 'a'],
    [
      'an unknown symbol by the default',
      enumSchema,
      'C',
      { type: 'enum', name: 'E', symbols: ['A', 'Z'], default: 'Z' },
      'Z',
    ],
    [
      'plain sixteen bytes as a UUID',
      { type: 'fixed', name: 'U', size: 16 },
      Buffer.alloc(16, 1),
      uuidSchema,
      '01010101-0101-0101-0101-010101010101',
    ],
    [
      'items of a list',
      { type: 'array', items: 'int' },
      [1],
      { type: 'array', items: 'double' },
      [1],
    ],
    [
      'a schema in another order of its attributes',
      { name: 'R', type: 'record', fields: [{ type: 'int', name: 'a' }] },
      { a: 1 },
      record({ name: 'a', type: 'int' }),
      { a: 1 },
    ],
  ])('reads %s', async (_what, writer, value, reader, expected) => {
    expect(await across(writer, value, reader)).toStrictEqual(expected)
  })

  test.each<[string, unknown, unknown, unknown]>([
    [
      'a new field without a default',
      record({ name: 'a', type: 'int' }),
      { a: 1 },
      record({ name: 'b', type: 'int' }),
    ],
    [
      'another name',
      record({ name: 'a', type: 'int' }),
      { a: 1 },
      { ...record({ name: 'a', type: 'int' }), name: 'S' },
    ],
    ['a long as an int', 'long', 1, 'int'],
    ['text as a number', 'string', '1', 'int'],
  ])('refuses %s, and says so each time', async (_what, writer, value, reader) => {
    const registry = memoryRegistry()
    const from = await open(avro(writer as AvroSchema) as Serde<unknown>, registry)
    const to = await open(avro(reader as AvroSchema) as Serde<unknown>, registry)
    const bytes = from.serialize(value)
    await expect(pendingOf(to, bytes).load()).rejects.toMatchObject({
      code: 'MILLRACE_INCOMPATIBLE_SCHEMA',
      schemaId: 1,
    })
    expect(errorOf(() => read(to, bytes)).code).toBe('MILLRACE_INCOMPATIBLE_SCHEMA')
  })

  test('refuses a branch that the declared schema lacks only where it comes', async () => {
    const writer = ['null', 'string', 'double']
    expect(await across(writer, 'a', ['null', 'string'])).toBe('a')
    await expect(across(writer, 1.5, ['null', 'string'])).rejects.toMatchObject({
      code: 'MILLRACE_DESERIALIZATION',
    })
  })

  test('reads a recursive record whose union a writer made wider', async () => {
    const writer = record(
      { name: 'next', type: ['null', 'R', 'double'] },
      { name: 'n', type: 'int' },
    )
    const reader = record({ name: 'next', type: ['null', 'R'] }, { name: 'n', type: 'long' })
    const value = { next: { next: null, n: 2 }, n: 1 }
    expect(await across(writer, value, reader)).toEqual(value)
  })

  test('skips what a writer has more, unions that JavaScript cannot tell apart and all', async () => {
    const registry = memoryRegistry()
    const odd = {
      type: 'record',
      name: 'R',
      fields: [
        {
          name: 'either',
          type: [
            'int',
            'long',
            { type: 'record', name: 'A', fields: [] },
            { type: 'record', name: 'B', fields: [] },
          ],
        },
        { name: 'lists', type: { type: 'array', items: { type: 'map', values: 'string' } } },
        { name: 'n', type: 'int' },
      ],
    }
    const id = await registry.register('videos-value', JSON.stringify(odd))
    const serde = await open(
      avro({ type: 'record', name: 'R', fields: [{ name: 'n', type: 'int' }] }),
      registry,
    )
    const head = Buffer.from([0, 0, 0, 0, id])
    const bytes = Buffer.concat([head, Buffer.from('0202' + '0202026102620000' + '0e', 'hex')])
    await pendingOf(serde, bytes).load()
    expect(read(serde, bytes)).toEqual({ n: 7 })
    const loop = Buffer.concat([head, Buffer.from('0202' + '010b' + '0e', 'hex')])
    expect(errorOf(() => read(serde, loop))).toMatchObject({
      code: 'MILLRACE_DESERIALIZATION',
      path: 'lists',
    })
  })
})

function pendingOf(serde: OpenSerde<unknown>, bytes: Buffer): SchemaPending {
  try {
    read(serde, bytes)
  } catch (error) {
    if (error instanceof SchemaPending) return error
    throw error
  }
  throw new Error('nothing is pending')
}

describe('a schema that is not here yet', () => {
  const bytes = Buffer.from('000000006302', 'hex')

  test('is asked for once by all who wait, then known', async () => {
    let asked = 0
    const registry: Registry = {
      register: async () => 1,
      async schemaById(id) {
        asked++
        expect(id).toBe(99)
        return '"int"'
      },
    }
    const serde = await open(avro('long'), registry)
    const pending = [pendingOf(serde, bytes), pendingOf(serde, bytes)]
    await Promise.all(pending.map((one) => one.load()))
    expect(read(serde, bytes)).toBe(1)
    await pending[0]?.load()
    expect(asked).toBe(1)
  })

  test('and that the registry does not have is refused with its id, for a while without asking', async () => {
    let nowMs = 1_000
    let asked = 0
    const inner = memoryRegistry()
    const registry: Registry = {
      register: (subject, schema) => inner.register(subject, schema),
      schemaById(id) {
        asked++
        return inner.schemaById(id)
      },
    }
    const clock = {
      now: () => nowMs,
      monotonic: () => nowMs,
      timer: () => ({ cancel() {} }),
      yield: async () => {},
      random: () => 0,
      uuid: () => '',
    }
    const serde = await avro('long').open({ topic: 'videos', role: 'value', registry, clock })
    await expect(pendingOf(serde, bytes).load()).rejects.toThrow('no schema 99')
    expect(errorOf(() => read(serde, bytes))).toMatchObject({
      code: 'MILLRACE_UNKNOWN_SCHEMA',
      schemaId: 99,
    })
    expect(asked).toBe(1)
    nowMs += 30_000
    await expect(pendingOf(serde, bytes).load()).rejects.toThrow('no schema 99')
    expect(asked).toBe(2)
    for (let i = 2; i <= 99; i++) await inner.register('x', i === 99 ? '"int"' : `{"n":${i}}`)
    nowMs += 30_000
    await pendingOf(serde, bytes).load()
    expect(read(serde, bytes)).toBe(1)
  })

  test('is asked for again where there is no clock to wait by', async () => {
    const serde = await open(avro('long'))
    for (let i = 0; i < 3; i++) {
      await expect(pendingOf(serde, bytes).load()).rejects.toMatchObject({
        code: 'MILLRACE_UNKNOWN_SCHEMA',
      })
    }
  })

  test('is asked for again after a registry could not be reached', async () => {
    let up = false
    const registry: Registry = {
      register: async () => 1,
      async schemaById() {
        if (!up) throw new Error('connection refused')
        return '"int"'
      },
    }
    const serde = await open(avro('long'), registry)
    await expect(pendingOf(serde, bytes).load()).rejects.toThrow('connection refused')
    up = true
    await pendingOf(serde, bytes).load()
    expect(read(serde, bytes)).toBe(1)
  })

  test('and is not Avro is refused for good', async () => {
    const registry: Registry = {
      register: async () => 1,
      schemaById: async () => '{"type":"nope"}',
    }
    const serde = await open(avro('long'), registry)
    const failed = await pendingOf(serde, bytes)
      .load()
      .catch((error: unknown) => error)
    expect(isMillraceError(failed, 'MILLRACE_BAD_SCHEMA')).toBe(true)
    expect(errorOf(() => read(serde, bytes)).code).toBe('MILLRACE_BAD_SCHEMA')
  })
})
