import { describe, expect, it } from 'vitest'
import { StreamableCheck } from '../../../video/annotators/streamable.ts'

function box(type: string, bodyBytes: number): Buffer {
  const bytes = Buffer.alloc(8 + bodyBytes)
  bytes.writeUInt32BE(bytes.length)
  bytes.write(type, 4, 'latin1')
  return bytes
}

function longBox(type: string, size: number): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.writeUInt32BE(1)
  bytes.write(type, 4, 'latin1')
  bytes.writeBigUInt64BE(BigInt(size), 8)
  return bytes
}

function accepts(bytes: Buffer, partBytes: number): boolean {
  const check = new StreamableCheck()
  let accepted = true
  for (let at = 0; at < bytes.length; at += partBytes) {
    accepted = check.accepts(bytes.subarray(at, at + partBytes)) && accepted
  }
  return accepted
}

const ACCEPTED: readonly (readonly [string, Buffer])[] = [
  [
    'a header before the frames',
    Buffer.concat([box('ftyp', 24), box('moov', 500), box('mdat', 90)]),
  ],
  [
    'a header behind free space',
    Buffer.concat([box('ftyp', 24), box('free', 70), box('moov', 99)]),
  ],
  [
    'fragments',
    Buffer.concat([box('ftyp', 24), box('moov', 99), box('moof', 99), box('mdat', 99)]),
  ],
  ['no mp4', Buffer.alloc(400, 'G@')],
  ['nothing', Buffer.alloc(0)],
  [
    'a box of impossible length',
    Buffer.concat([box('ftyp', 24), Buffer.from('\0\0\0\x03free0000000000000')]),
  ],
]

const REFUSED: readonly (readonly [string, Buffer])[] = [
  ['frames before the header', Buffer.concat([box('ftyp', 24), box('mdat', 500), box('moov', 90)])],
  [
    'frames at the very start, as old QuickTime writes',
    Buffer.concat([box('wide', 8), box('mdat', 99)]),
  ],
  ['frames behind an empty box', Buffer.concat([box('ftyp', 24), box('free', 0), box('mdat', 0)])],
  [
    'frames in a long box',
    Buffer.concat([box('ftyp', 24), box('free', 8), longBox('mdat', 2 ** 33)]),
  ],
]

describe('the check whether an mp4 can be decoded as it comes', () => {
  it.each(ACCEPTED)('accepts %s, in parts of any size', (_, bytes) => {
    for (const size of [1, 7, 16, 1_000]) expect(accepts(bytes, size)).toBe(true)
  })

  it.each(REFUSED)('refuses %s, in parts of any size', (_, bytes) => {
    for (const size of [1, 7, 16, 1_000]) expect(accepts(bytes, size)).toBe(false)
  })
})
