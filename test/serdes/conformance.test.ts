import { test } from 'vitest'
import { avro } from '../../serdes/avro.ts'
import { serdeConformance } from '../../serdes/conformance.ts'
import { json } from '../../serdes/json.ts'
import { bytes, float64, int32, int64, text, uuid } from '../../serdes/primitives.ts'

const hex = (digits: string): Buffer => Buffer.from(digits, 'hex')

serdeConformance(
  {
    name: 'text',
    serde: text,
    samples: ['', 'a', 'videos.raw', 'é€😀', 'x'.repeat(100_000), '\ufffd', '\0'],
    invalid: [hex('ff'), hex('c3'), hex('eda080'), hex('c080'), hex('61ff62')],
    refused: ['\ud800', 'a\udc00', 1, null, undefined, Buffer.from('a')],
  },
  test,
)

serdeConformance(
  {
    name: 'bytes',
    serde: bytes,
    samples: [Buffer.alloc(0), hex('00ff'), Buffer.alloc(100_000, 7)],
    refused: ['00', null, undefined, [1, 2]],
  },
  test,
)

serdeConformance(
  {
    name: 'int32',
    serde: int32,
    samples: [0, 1, -1, 2 ** 31 - 1, -(2 ** 31)],
    invalid: [hex(''), hex('000000'), hex('0000000000'), hex('0000000000000000')],
    refused: [1.5, 2 ** 31, -(2 ** 31) - 1, NaN, '1', 1n, null],
  },
  test,
)

serdeConformance(
  {
    name: 'int64',
    serde: int64,
    samples: [0n, 1n, -1n, 2n ** 63n - 1n, -(2n ** 63n)],
    invalid: [hex(''), hex('00000000'), hex('00000000000000'), hex('000000000000000000')],
    refused: [2n ** 63n, -(2n ** 63n) - 1n, 1, '1', null],
  },
  test,
)

serdeConformance(
  {
    name: 'float64',
    serde: float64,
    samples: [0, -0, 1.5, -0.1, NaN, Infinity, -Infinity, Number.MIN_VALUE, Number.MAX_VALUE],
    invalid: [hex(''), hex('00000000'), hex('000000000000000000')],
    refused: ['1', 1n, null, undefined],
  },
  test,
)

serdeConformance(
  {
    name: 'uuid',
    serde: uuid,
    samples: ['00112233-4455-6677-8899-aabbccddeeff', 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
    invalid: [
      hex(''),
      hex('00112233445566778899aabbccddeeff'),
      Buffer.from('00112233-4455-6677-8899-aabbccddeefg'),
      Buffer.from('00112233-4455-6677-8899-aabbccddeeff '),
      Buffer.from('001122334-455-6677-8899-aabbccddeeff'),
    ],
    refused: ['', '00112233445566778899aabbccddeeff', 1, null],
  },
  test,
)

const circle: { self?: unknown } = {}
circle.self = circle

serdeConformance(
  {
    name: 'json',
    serde: json<unknown>(),
    samples: [null, 0, 'é', [], {}, { a: [1, { b: null }], c: '\u2028' }],
    invalid: [hex(''), Buffer.from('{'), Buffer.from('{} x'), hex('22ff22')],
    refused: [undefined, 1n, circle, () => 1],
  },
  test,
)

serdeConformance(
  {
    name: 'json with a check',
    serde: json((value): value is number => typeof value === 'number'),
    samples: [1, 2.5],
    invalid: [Buffer.from('"1"'), Buffer.from('null')],
  },
  test,
)

serdeConformance(
  {
    name: 'avro of a record with every kind of field',
    serde: avro({
      type: 'record',
      name: 'Everything',
      namespace: 'millrace.test',
      fields: [
        { name: 'nothing', type: 'null' },
        { name: 'flag', type: 'boolean' },
        { name: 'small', type: 'int' },
        { name: 'large', type: 'long' },
        { name: 'huge', type: { type: 'long', logicalType: 'bigint' } },
        { name: 'double', type: 'double' },
        { name: 'bytes', type: 'bytes' },
        { name: 'text', type: 'string' },
        { name: 'kind', type: { type: 'enum', name: 'Kind', symbols: ['CUT', 'FADE'] } },
        { name: 'hash', type: { type: 'fixed', name: 'Hash', size: 4 } },
        { name: 'id', type: { type: 'string', logicalType: 'uuid' } },
        { name: 'topicId', type: { type: 'fixed', name: 'Id', size: 16, logicalType: 'uuid' } },
        { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } },
        { name: 'list', type: { type: 'array', items: ['null', 'Kind'] } },
        { name: 'map', type: { type: 'map', values: ['null', 'string', 'bytes', 'long'] } },
        { name: 'next', type: ['null', 'Everything'] },
      ],
    }),
    samples: samplesOfEverything(),
    invalid: [hex(''), hex('02'), hex('00ffffffffffffffffffff')],
    refused: [null, undefined, 1, 'a', {}, [], { ...samplesOfEverything()[0], small: 1.5 }],
  },
  test,
)

function samplesOfEverything() {
  const one = {
    nothing: null,
    flag: true,
    small: -(2 ** 31),
    large: -(2 ** 53 - 1),
    huge: -(2n ** 63n),
    double: 0.1,
    bytes: hex('00ff'),
    text: 'é',
    kind: 'FADE',
    hash: hex('01020304'),
    id: '00112233-4455-6677-8899-aabbccddeeff',
    topicId: 'ffeeddcc-bbaa-9988-7766-554433221100',
    at: 1_700_000_000_000,
    list: [null, 'CUT', 'FADE'],
    map: { none: null, text: 'a', bytes: hex('ff'), long: 2 ** 40 },
    next: null,
  } as const
  return [
    one,
    { ...one, flag: false, list: [], map: {}, next: { ...one, bytes: Buffer.alloc(9_000) } },
  ]
}

for (const [name, schema, samples, invalid] of [
  ['string', 'string', ['', 'a'], [hex(''), hex('02'), hex('02ff'), hex('01'), hex('0000')]],
  ['long', 'long', [0, -1, 2 ** 53 - 1], [hex('80'), hex('ffffffffffffffffff01')]],
  ['int', 'int', [0, 2 ** 31 - 1], [hex('8080808010'), hex('808080808080')]],
  ['boolean', 'boolean', [true, false], [hex('02'), hex('ff'), hex('')]],
  ['double', 'double', [0, -0, NaN], [hex('00')]],
  ['union', ['null', 'string', 'double'], [null, 'a', 1.5], [hex('06'), hex('01'), hex('02')]],
] as const) {
  serdeConformance<unknown>(
    { name: `avro of ${name}`, serde: avro(schema), samples, invalid },
    test,
  )
}
