import { describe, expect, test } from 'vitest'
import { OWN_PART_BYTES, WireWriter } from '../../../transport/kafka/wire/writer.ts'
import { WireReader } from '../../../transport/kafka/wire/reader.ts'

const ID = '6ba7b810-9dad-11d1-80b4-00c04fd430c8'

function written(flexible: boolean, write: (to: WireWriter) => unknown): string {
  const to = new WireWriter(flexible)
  write(to)
  const bytes = Buffer.concat(to.parts())
  expect(bytes.length).toBe(to.sizeBytes)
  return bytes.toString('hex')
}

function read<T>(hex: string, flexible: boolean, take: (from: WireReader) => T): T {
  const from = new WireReader(Buffer.from(hex, 'hex'), flexible)
  const value = take(from)
  expect(from.leftBytes).toBe(0)
  return value
}

describe('numbers', () => {
  test.each([
    [0, '0000000000000000'],
    [-1, 'ffffffffffffffff'],
    [-2, 'fffffffffffffffe'],
    [1, '0000000000000001'],
    [2 ** 32, '0000000100000000'],
    [2 ** 32 - 1, '00000000ffffffff'],
    [-(2 ** 32), 'ffffffff00000000'],
    [2 ** 53 - 1, '001fffffffffffff'],
    [1_700_000_000_000, '0000018bcfe56800'],
  ])('int64 %d is %s', (value, hex) => {
    expect(written(false, (to) => to.int64(value))).toBe(hex)
    expect(read(hex, false, (from) => from.int64())).toBe(value)
  })

  test.each([
    [0, '00'],
    [127, '7f'],
    [128, '8001'],
    [300, 'ac02'],
    [2 ** 32 - 1, 'ffffffff0f'],
  ])('uvarint %d is %s', (value, hex) => {
    expect(written(true, (to) => to.uvarint(value))).toBe(hex)
    expect(read(hex, true, (from) => from.uvarint())).toBe(value)
  })

  test('small ones are big-endian', () => {
    expect(written(false, (to) => to.int8(-1).int16(258).int32(-2).bool(true))).toBe(
      'ff' + '0102' + 'fffffffe' + '01',
    )
  })

  test('a 64-bit number beyond 2^53 - 1 is no offset', () => {
    expect(() => read('0020000000000000', false, (from) => from.int64())).toThrow(RangeError)
  })
})

describe('lengths', () => {
  const forms: readonly (readonly [string, boolean, string, (to: WireWriter) => unknown])[] = [
    ['a string', false, '00026162', (to) => to.string('ab')],
    ['a compact string', true, '036162', (to) => to.string('ab')],
    ['a string beyond ASCII', true, '03c3bc', (to) => to.string('ü')],
    ['no string', false, 'ffff', (to) => to.nullableString(null)],
    ['no compact string', true, '00', (to) => to.nullableString(null)],
    ['bytes', false, '00000002fefd', (to) => to.bytes(Buffer.of(0xfe, 0xfd))],
    ['compact bytes', true, '03fefd', (to) => to.bytes(Buffer.of(0xfe, 0xfd))],
    ['an array', false, '000000020000000100000002', (to) => to.int32s([1, 2])],
    ['a compact array', true, '030000000100000002', (to) => to.int32s([1, 2])],
    ['no array', false, 'ffffffff', (to) => to.nullableArray(null, () => to)],
    ['no compact array', true, '00', (to) => to.nullableArray(null, () => to)],
    ['no tags in a plain version', false, '', (to) => to.tags()],
    ['tags', true, '00', (to) => to.tags()],
    ['a UUID', true, ID.replaceAll('-', ''), (to) => to.uuid(ID)],
  ]
  test.each(forms)('%s (flexible %s) is %s', (_, flexible, hex, write) => {
    expect(written(flexible, write)).toBe(hex)
  })

  test.each([true, false])('what is written is read, flexible %s', (flexible) => {
    const hex = written(flexible, (to) => {
      to.string('topic').nullableString(null).bytes(Buffer.from('b')).uuid(ID)
      to.nullableArray(null, () => to)
      to.strings(['x', 'y']).tags()
    })
    read(hex, flexible, (from) => {
      expect(from.string()).toBe('topic')
      expect(from.nullableString()).toBeNull()
      expect(from.bytes().toString()).toBe('b')
      expect(from.uuid()).toBe(ID)
      expect(from.nullableArray(() => 0)).toBeNull()
      expect(from.array(() => from.string())).toEqual(['x', 'y'])
      from.tags()
    })
  })

  test('a large buffer becomes a part as it is, and is not copied', () => {
    const value = Buffer.alloc(OWN_PART_BYTES, 7)
    const to = new WireWriter(true)
    to.int8(1)
      .records([Buffer.of(2), value])
      .int8(3)
    const parts = to.parts()
    expect(parts).toContain(value)
    expect(to.sizeBytes).toBe(1 + 2 + 1 + OWN_PART_BYTES + 1)
    const whole = Buffer.concat([Buffer.of(1, 0x82, 0x08, 2), value, Buffer.of(3)])
    expect(Buffer.concat(parts)).toEqual(whole)
  })

  test('many small values cross the borders of chunks', () => {
    const words = Array.from({ length: 2_000 }, (_, at) => `word ${at}`)
    const hex = written(true, (to) => to.strings(words).string('x'.repeat(900)))
    read(hex, true, (from) => {
      expect(from.array(() => from.string())).toEqual(words)
      expect(from.string()).toHaveLength(900)
    })
  })
})

describe('tagged fields', () => {
  test('those that are known are read, others skipped, and what has grown is skipped too', () => {
    const seen: number[] = []
    read(
      '03' + '00' + '02' + '0102' + '05' + '01' + 'ff' + '07' + '03' + '000900',
      true,
      (from) => {
        from.tags({ 0: () => seen.push(from.int16()), 7: () => seen.push(from.int16()) })
      },
    )
    expect(seen).toEqual([258, 9])
  })
})

describe('damaged bytes are a RangeError', () => {
  test.each([
    ['a string longer than what is left', '0005aa', (from: WireReader) => from.string()],
    ['a list of a billion', '3b9aca00', (from: WireReader) => from.int32s()],
    ['null where a value has to be', 'ffff', (from: WireReader) => from.string()],
    ['a number that is cut', '0000', (from: WireReader) => from.int32()],
  ])('%s', (_, hex, take) => {
    expect(() => take(new WireReader(Buffer.from(hex, 'hex'), false))).toThrow(RangeError)
  })

  test('a varint of six bytes', () => {
    const from = new WireReader(Buffer.from('ffffffffff01', 'hex'), true)
    expect(() => from.uvarint()).toThrow(RangeError)
  })
})
