import { describe, expect, test } from 'vitest'
import { linesOf, recordOfLine, type LineFormat } from '../../cli/lines.ts'

async function* chunksOf(text: string, bytes: number): AsyncGenerator<Buffer> {
  const all = Buffer.from(text)
  for (let at = 0; at < all.length; at += bytes) yield all.subarray(at, at + bytes)
}

async function linesIn(text: string, bytes: number, longest?: number): Promise<readonly string[]> {
  const lines: string[] = []
  for await (const some of linesOf(chunksOf(text, bytes), longest)) lines.push(...some.map(String))
  return lines
}

describe('lines', () => {
  test.each([
    ['', []],
    ['\n', ['']],
    ['a', ['a']],
    ['a\n', ['a']],
    ['a\n\nb', ['a', '', 'b']],
    ['a\r\nb\r\n', ['a', 'b']],
    ['a\rb\n', ['a\rb']],
    ['ä€😀\tß\n€\n', ['ä€😀\tß', '€']],
  ])('of %j are the same however the bytes arrive', async (text, lines) => {
    for (const bytes of [1, 2, 3, 1000]) expect(await linesIn(text, bytes)).toEqual(lines)
  })

  test('may be as long as the limit, and no longer', async () => {
    expect(await linesIn('12345\n12345', 2, 5)).toEqual(['12345', '12345'])
    await expect(linesIn('1\n123456\n', 2, 5)).rejects.toMatchObject({
      code: 'MILLRACE_RECORD_TOO_LARGE',
      place: 'line 2',
    })
  })
})

describe('a line as a record', () => {
  const format = (separator: string, tombstone?: string): LineFormat => ({
    separator: Buffer.from(separator),
    tombstone: tombstone === undefined ? undefined : Buffer.from(tombstone),
  })

  test.each([
    ['a\tb', format('\t'), 'a', 'b'],
    ['a\tb\tc', format('\t'), 'a', 'b\tc'],
    ['a\t', format('\t'), 'a', ''],
    ['\tb', format('\t'), '', 'b'],
    ['a b', format('\t'), null, 'a b'],
    ['', format('\t'), null, ''],
    ['a::b', format('::'), 'a', 'b'],
    ['a\tNULL', format('\t'), 'a', 'NULL'],
    ['a\tNULL', format('\t', 'NULL'), 'a', null],
    ['a\tNULLS', format('\t', 'NULL'), 'a', 'NULLS'],
  ])('%j, by %j', (line, how, key, value) => {
    const record = recordOfLine(Buffer.from(line), how)
    expect({
      key: record.key?.toString() ?? null,
      value: record.value?.toString() ?? null,
    }).toEqual({ key, value })
  })
})
