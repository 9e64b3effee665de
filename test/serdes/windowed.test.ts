import { describe, expect, test } from 'vitest'
import { avro } from '../../serdes/avro.ts'
import { serdeConformance } from '../../serdes/conformance.ts'
import { memoryRegistry } from '../../serdes/memory-registry.ts'
import { bytes, int32, int64, text } from '../../serdes/primitives.ts'
import type { OpenSerde, Serde } from '../../serdes/serde.ts'
import { SchemaPending } from '../../serdes/serde.ts'
import { describeWindowed, sessionWindowed, timeWindowed } from '../../serdes/windowed.ts'
import type { Windowed } from '../../serdes/windowed.ts'

const hex = (digits: string): Buffer => Buffer.from(digits, 'hex')
const context = { topic: 'counts', role: 'key' } as const

function open<T>(serde: Serde<T>, registry = memoryRegistry()): Promise<OpenSerde<T>> {
  return serde.open({ ...context, registry })
}

const Video = avro({
  type: 'record',
  name: 'Video',
  fields: [{ name: 'id', type: 'string' }],
})

serdeConformance(
  {
    name: 'timeWindowed of text',
    serde: timeWindowed(text, 300_000),
    samples: [
      { key: 'é', startMs: 1_700_000_000_000, endMs: 1_700_000_300_000 },
      { key: '', startMs: 0, endMs: 300_000 },
    ],
    invalid: [
      hex(''),
      hex('00000000000000'),
      hex('ff0000000000000000'),
      hex('61ffffffffffffffff'),
      hex('617fffffffffffffff'),
      hex('61001fffffffffffff'),
    ],
    refused: [
      null,
      undefined,
      'a',
      { key: 1, startMs: 0, endMs: 300_000 },
      { key: 'a', startMs: 0, endMs: 300_001 },
      { key: 'a', startMs: -1, endMs: 299_999 },
      { key: 'a', startMs: 0.5, endMs: 300_000.5 },
      { key: 'a', startMs: 2 ** 53 - 300_000, endMs: 2 ** 53 },
      { key: 'a', startMs: 0n, endMs: 300_000n },
    ],
  },
  test,
)

serdeConformance(
  {
    name: 'sessionWindowed of an Avro record',
    serde: sessionWindowed(Video),
    samples: [
      { key: { id: 'a' }, startMs: 5, endMs: 5 },
      { key: { id: '' }, startMs: 0, endMs: 2 ** 53 - 1 },
    ],
    invalid: [
      hex('0261'),
      hex('0261' + '0000000000000001' + '0000000000000002'),
      hex('0261' + '0000000000000001' + 'ffffffffffffffff'),
      hex('026162' + '0000000000000001' + '0000000000000001'),
    ],
    refused: [
      null,
      { key: { id: 'a' }, startMs: 2, endMs: 1 },
      { key: { id: 'a' }, startMs: 1 },
      { key: {}, startMs: 1, endMs: 1 },
    ],
  },
  test,
)

/** Written by Kafka Streams 4.1.0: TimeWindowedSerializer and SessionWindowedSerializer over the serializers of the same name. */
const GOLDEN: readonly (readonly [
  inner: Serde<never>,
  windowed: Windowed<unknown>,
  time: string,
  session: string,
])[] = [
  [
    text as Serde<never>,
    { key: 'é', startMs: 1_700_000_000_000, endMs: 1_700_000_300_000 },
    'c3a90000018bcfe56800',
    'c3a90000018bcfe9fbe00000018bcfe56800',
  ],
  [
    text as Serde<never>,
    { key: '', startMs: 0, endMs: 1 },
    '0000000000000000',
    '00000000000000010000000000000000',
  ],
  [
    int32 as Serde<never>,
    { key: -1, startMs: 4_294_967_295, endMs: 4_294_967_306 },
    'ffffffff00000000ffffffff',
    'ffffffff000000010000000a00000000ffffffff',
  ],
  [
    int64 as Serde<never>,
    { key: 258n, startMs: 0, endMs: 300_000 },
    '00000000000001020000000000000000',
    '000000000000010200000000000493e00000000000000000',
  ],
  [
    text as Serde<never>,
    { key: 'max', startMs: 2 ** 53 - 2, endMs: 2 ** 53 - 1 },
    '6d6178001ffffffffffffe',
    '6d6178001fffffffffffff001ffffffffffffe',
  ],
  [
    bytes as Serde<never>,
    { key: hex('00ff'), startMs: 60_000, endMs: 120_000 },
    '00ff000000000000ea60',
    '00ff000000000001d4c0000000000000ea60',
  ],
]

describe('windowed keys', () => {
  test.each(GOLDEN)(
    'have the bytes that Java writes: %o',
    async (inner, windowed, time, session) => {
      const value = windowed as Windowed<never>
      const size = value.endMs - value.startMs
      for (const [serde, digits] of [
        [timeWindowed(inner, size), time],
        [sessionWindowed(inner), session],
      ] as const) {
        const opened = await open(serde)
        expect(opened.serialize(value).toString('hex')).toBe(digits)
        expect(opened.deserialize(hex(digits), 0, digits.length / 2)).toEqual(value)
      }
    },
  )

  test.each([
    [{ key: 'é', startMs: 1, endMs: 2 }, '[é@1/2]'],
    [{ key: -1, startMs: 0, endMs: 300_000 }, '[-1@0/300000]'],
    [{ key: 258n, startMs: 0, endMs: 1 }, '[258@0/1]'],
    [{ key: null, startMs: 0, endMs: 1 }, '[null@0/1]'],
    [{ key: hex('00ff'), startMs: 0, endMs: 1 }, '[00ff@0/1]'],
    [{ key: { offset: 2n, id: 'a' }, startMs: 0, endMs: 1 }, '[{"offset":"2","id":"a"}@0/1]'],
  ])('have Java’s text form: %o', (windowed, expected) => {
    expect(describeWindowed(windowed)).toBe(expected)
  })

  test('keep the prefix of the key at the front, and their place behind it', async () => {
    const registry = memoryRegistry()
    await registry.register('other', '"int"')
    const key = await open(Video, registry)
    const opened = await open(timeWindowed(Video, 10), registry)
    expect(opened.prefix).toEqual(key.prefix)
    expect(opened.serialize({ key: { id: 'a' }, startMs: 1, endMs: 11 })).toEqual(
      Buffer.concat([key.serialize({ id: 'a' }), hex('0000000000000001')]),
    )
  })

  test('wait for the schema of a key that others wrote', async () => {
    const registry = memoryRegistry()
    const other = avro({
      type: 'record',
      name: 'Video',
      fields: [
        { name: 'id', type: 'string' },
        { name: 'name', type: 'string' },
      ],
    })
    const windowed = { startMs: 1, endMs: 2 }
    const written = (await open(sessionWindowed(other), registry)).serialize({
      key: { id: 'a', name: 'b' },
      ...windowed,
    })
    const opened = await open(sessionWindowed(Video), registry)
    const pending = await Promise.resolve()
      .then(() => opened.deserialize(written, 0, written.length))
      .catch((error: unknown) => error)
    expect(pending).toBeInstanceOf(SchemaPending)
    await (pending as SchemaPending).load()
    expect(opened.deserialize(written, 0, written.length)).toEqual({
      key: { id: 'a' },
      ...windowed,
    })
  })

  test('name the field of a key that does not fit', async () => {
    const opened = await open(timeWindowed(Video, 10))
    const value = { key: { id: 7 }, startMs: 0, endMs: 10 } as never
    expect(() => opened.serialize(value)).toThrow(/a key of counts.*id: expected/)
  })

  test.each([0, -1, 1.5, NaN, 2 ** 53])('cannot be %d ms long', (size) => {
    expect(() => timeWindowed(text, size)).toThrow(RangeError)
  })
})
