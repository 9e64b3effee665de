import { describe, expect, test } from 'vitest'
import { RecordReader, type Kind } from '../../cli/readable-record.ts'
import { memoryRegistry } from '../../serdes/memory-registry.ts'

function reader(isWhole: boolean, value?: Kind): RecordReader {
  const kinds = { key: undefined, value }
  return new RecordReader('topic', { registry: memoryRegistry(), isWhole, kinds })
}

describe('a record for a program', () => {
  test('is whole, however long it is', async () => {
    const text = JSON.stringify({ words: 'é'.repeat(3_000_000) })
    expect(await reader(true).read('value', Buffer.from(text))).toBe(text)
  })

  test('has bytes as base64, in a field that says so', async () => {
    const bytes = Buffer.alloc(100_000, 0xff)
    const base64 = bytes.toString('base64')
    expect(await reader(true).read('value', bytes)).toEqual({ base64 })
    expect(await reader(true, 'bytes').read('value', bytes)).toEqual({ base64 })
  })

  test.each<[Kind, string, unknown]>([
    ['text', '61090a01', 'a\t\n\u0001'],
    ['int32', 'fffffffe', -2],
    ['int64', '0000000000000002', '2'],
    ['int64', '7fffffffffffffff', '9223372036854775807'],
    ['float64', '3ff8000000000000', 1.5],
    ['float64', '7ff8000000000000', 'NaN'],
    ['float64', 'fff0000000000000', '-Infinity'],
    ['json', Buffer.from('{"a":[1,null,"x"]}').toString('hex'), { a: [1, null, 'x'] }],
    [
      'uuid',
      Buffer.from('6D1B0F9E-7C0A-4B7E-9A55-0A3D1E6B2C11').toString('hex'),
      '6d1b0f9e-7c0a-4b7e-9a55-0a3d1e6b2c11',
    ],
  ])('is %s where that is told: %s', async (kind, hex, value) => {
    expect(await reader(true, kind).read('value', Buffer.from(hex, 'hex'))).toEqual(value)
  })

  test.each<[Kind, string]>([
    ['text', 'ff'],
    ['int32', '00'],
    ['int64', '00000002'],
    ['float64', ''],
    ['json', '7b'],
    ['uuid', '61'],
  ])('that is no %s is bytes with the reason', async (kind, hex) => {
    const bytes = Buffer.from(hex, 'hex')
    expect(await reader(true, kind).read('value', bytes)).toEqual({
      unreadable: expect.stringContaining('cannot read a value of topic as') as unknown,
      base64: bytes.toString('base64'),
    })
  })
})

describe('a record for people', () => {
  test.each([1997, 1998, 1999, 2000])('is cut between two characters, at %i bytes', async (at) => {
    const text = `${'a'.repeat(at)}😀${'b'.repeat(1000)}`
    const shown = await reader(false).read('value', Buffer.from(text))
    expect(shown).toBe(`${'a'.repeat(at)}… (${((at + 1004) / 1024).toFixed(1)} KiB)`)
  })

  test('is hexadecimal digits where it is no text, also behind its border', async () => {
    const bytes = Buffer.alloc(3000, 0x80)
    const shown = await reader(false).read('value', bytes)
    expect(shown).toBe(`0x${'80'.repeat(24)}… (2.9 KiB)`)
  })

  test('has a mark where it is not what was told', async () => {
    const shown = await reader(false, 'int64').read('value', Buffer.from('hi'))
    expect(shown).toBe('0x6869 (not int64)')
  })
})
