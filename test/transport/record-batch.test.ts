import { describe, expect, it } from 'vitest'
import { crc32c } from '../../model/crc32c.ts'
import { NO_HEADERS, type LogRecord } from '../../model/record.ts'
import {
  BATCH_HEADER_BYTES,
  controlType,
  decodeRecords,
  readBatchHeader,
  verifyBatch,
  type BatchHeader,
} from '../../transport/record-batch.ts'
import {
  IN_PLACE_BYTES,
  loneBatchBytes,
  recordBytesAtMost,
  RecordBatchBuilder,
  type BatchRecord,
  type BatchStamp,
} from '../../transport/record-batch-builder.ts'
import { varintBytes, VarintReader, writeVarint } from '../../transport/varint.ts'
import { makeMarker } from './control-marker.ts'

const PLAIN: BatchStamp = {
  baseOffset: 0,
  leaderEpoch: 0,
  producerId: -1,
  producerEpoch: -1,
  baseSequence: -1,
  transactional: false,
}

/** Batches as kafka-python 3.0.12, another implementation of the format, writes them. */
const GOLDEN: readonly {
  readonly title: string
  readonly stamp: BatchStamp
  readonly records: readonly BatchRecord[]
  readonly hex: string
}[] = [
  {
    title: 'one record',
    stamp: PLAIN,
    records: [record('key', 'value', 1_700_000_000_000)],
    hex: '0000000000000000000000400000000002db5e9cdd0000000000000000018bcfe568000000018bcfe56800ffffffffffffffffffffffffffff000000011c000000066b65790a76616c756500',
  },
  {
    title: 'transactional, with headers, nulls, empty keys and times that go back',
    stamp: { ...PLAIN, producerId: 4242, producerEpoch: 7, baseSequence: 99, transactional: true },
    records: [
      {
        ...record(null, 'first', 1_700_000_000_123),
        headers: [
          { key: 'h', value: Buffer.from('1') },
          { key: 'ünïcode', value: null },
        ],
      },
      record('', null, 1_700_000_000_100),
      record('k'.repeat(70), 'v'.repeat(200), 1_700_000_099_999),
    ],
    hex: '00000000000000000000016d0000000002cafe98750010000000020000018bcfe5687b0000018bcfe6ee9f00000000000010920007000000630000000334000000010a6669727374040268023112c3bc6ec3af636f6465010c002d02000100b00400c8980c048c016b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b9003767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767676767600',
  },
  {
    title: 'a time delta beyond 32 bits',
    stamp: PLAIN,
    records: [record('a', 'b', 0), record('c', 'd', 2 ** 45)],
    hex: '0000000000000000000000490000000002a7c620b400000000000100000000000000000000200000000000ffffffffffffffffffffffffffff000000021000000002610262001c0080808080808010020263026400',
  },
]

describe('the record batch codec', () => {
  for (const { title, stamp, records, hex } of GOLDEN) {
    it(`writes and reads what another implementation writes: ${title}`, () => {
      const bytes = encode(records, stamp)
      expect(bytes.toString('hex')).toBe(hex)
      const { header, decoded } = decode(bytes)
      expect(header).toMatchObject({
        baseOffset: stamp.baseOffset,
        lastOffset: stamp.baseOffset + records.length - 1,
        producerId: stamp.producerId,
        producerEpoch: stamp.producerEpoch,
        baseSequence: stamp.baseSequence,
        transactional: stamp.transactional,
        control: false,
        recordCount: records.length,
        maxTimestamp: Math.max(...records.map((each) => each.timestamp)),
      })
      expect(decoded.map(plain)).toEqual(records)
      expect(decoded.map((each) => each.offset)).toEqual(records.map((_, index) => index))
    })
  }

  it('never joins a big value: it leaves as the buffer that came in', () => {
    const value = Buffer.alloc(IN_PLACE_BYTES, 7)
    const builder = new RecordBatchBuilder()
    builder.append({ key: Buffer.from('k'), value, timestamp: 5, headers: NO_HEADERS })
    builder.append(record('small', 'after', 6))
    const parts = builder.seal(PLAIN)
    expect(parts.some((part) => part === value)).toBe(true)
    const bytes = Buffer.concat(parts)
    expect(bytes.length).toBe(builder.sizeBytes)
    expect(decode(bytes).decoded.map((each) => each.value?.length)).toEqual([value.length, 5])
  })

  it('is the same where the CRC of a big value is known, and where it is sealed anew', () => {
    for (const size of [IN_PLACE_BYTES - 1, IN_PLACE_BYTES, 3 * IN_PLACE_BYTES + 5]) {
      const values = [1, 2].map((seed) => Buffer.alloc(size, `value ${seed}`))
      const records = values.map((value) => ({ ...record('k', null, 5), value }))
      const knowing = new RecordBatchBuilder()
      for (const each of records) knowing.append({ ...each, valueCrc: crc32c(each.value) })
      for (const stamp of [PLAIN, { ...PLAIN, producerId: 9, producerEpoch: 1 }]) {
        expect(Buffer.concat(knowing.seal(stamp)).equals(encode(records, stamp))).toBe(true)
      }
    }
  })

  it('is refused where what was said of the CRC of a big value is wrong', () => {
    const value = Buffer.alloc(IN_PLACE_BYTES, 7)
    const builder = new RecordBatchBuilder()
    builder.append({ ...record('k', null, 5), value, valueCrc: (crc32c(value) ^ 1) >>> 0 })
    expect(() => decode(Buffer.concat(builder.seal(PLAIN)))).toThrow(/no valid record batch/)
  })

  it('reads records in place, without copying them', () => {
    const bytes = encode([record('key', 'value', 1)], PLAIN)
    const [first] = decode(bytes).decoded
    expect(first?.valueBuffer).toBe(bytes)
    bytes[first?.valueStart ?? 0] = 'V'.charCodeAt(0)
    expect(first?.value?.toString()).toBe('Value')
  })

  it('tells the CRC of a large value that is alone in its batch, and no other', () => {
    const value = Buffer.from(Uint8Array.from({ length: 600_000 }, (_, index) => index * 7))
    const headers = [{ key: 'h', value: Buffer.from('behind the value') }]
    const large = { key: Buffer.from('k'), value, timestamp: 5, headers }
    const small = record('k', 'small', 6)
    const crcsOf = (records: readonly BatchRecord[]) =>
      decode(encode(records, { ...PLAIN, producerId: 7 })).decoded.map((each) => each.valueCrc)
    expect(crcsOf([large])).toEqual([crc32c(value)])
    expect(crcsOf([large, large])).toEqual([undefined, undefined])
    expect(crcsOf([small])).toEqual([undefined])
  })

  it('stamps the same batch anew, and leaves out records before the offset asked for', () => {
    const builder = new RecordBatchBuilder()
    for (let n = 0; n < 10; n += 1) builder.append(record(`k${n}`, `v${n}`, n))
    builder.seal(PLAIN)
    const bytes = Buffer.concat(builder.seal({ ...PLAIN, baseOffset: 2 ** 40, leaderEpoch: 3 }))
    const header = readBatchHeader(bytes, 0)
    expect(header).toMatchObject({ baseOffset: 2 ** 40, lastOffset: 2 ** 40 + 9, leaderEpoch: 3 })
    verifyBatch(bytes, 0, header)
    const into: LogRecord[] = []
    const source = { buffer: bytes, at: BATCH_HEADER_BYTES, end: bytes.length }
    decodeRecords(source, header, { into, fromOffset: 2 ** 40 + 8 })
    expect(into.map((each) => each.offset - 2 ** 40)).toEqual([8, 9])
  })

  it('tells the bytes of a record before it is appended', () => {
    for (const { records } of GOLDEN) {
      const builder = new RecordBatchBuilder()
      for (const each of records) {
        const before = builder.sizeBytes
        const most = recordBytesAtMost(each)
        builder.append(each)
        expect(builder.sizeBytes - before).toBeLessThanOrEqual(most)
        expect(encode([each], PLAIN).length).toBe(loneBatchBytes(each))
      }
    }
  })

  it('reads back the end of a transaction from its marker', () => {
    for (const type of ['commit', 'abort'] as const) {
      const key = Buffer.from([0, 0, 0, type === 'commit' ? 1 : 0])
      const stamp = { ...PLAIN, producerId: 9, transactional: true }
      const batch = encode([{ key, value: Buffer.alloc(6), timestamp: 3, headers: [] }], stamp)
      makeMarker(batch)
      const { header, decoded } = decode(batch)
      expect(header).toMatchObject({ control: true, transactional: true, producerId: 9 })
      const [marker] = decoded
      expect(marker && controlType(marker)).toBe(type)
    }
  })

  it('finds every single flipped bit after the length, and never reads past the batch', () => {
    const bytes = encode([record('key', 'some value', 12), record(null, 'x', 13)], PLAIN)
    for (let bit = 16 * 8; bit < bytes.length * 8; bit += 1) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      expect(() => decode(flipped), `bit ${bit}`).toThrow(/no valid record batch/)
    }
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => decode(bytes.subarray(0, length))).toThrow(/no valid record batch/)
    }
  })

  it('refuses records whose lengths do not agree, even under a right CRC', () => {
    const bytes = encode([record('key', 'value', 12)], PLAIN)
    for (let at = BATCH_HEADER_BYTES; at < bytes.length; at += 1) {
      const wrong = Buffer.from(bytes)
      wrong[at] = 0xff
      const header = readBatchHeader(wrong, 0)
      const into: LogRecord[] = []
      try {
        decodeRecords({ buffer: wrong, at: BATCH_HEADER_BYTES, end: wrong.length }, header, {
          into,
        })
      } catch (error) {
        expect((error as Error).message).toMatch(/no valid record batch/)
      }
      for (const each of into)
        expect(Math.max(each.keyEnd, each.valueEnd)).toBeLessThanOrEqual(wrong.length)
    }
  })
})

describe('a varint', () => {
  const values = [
    0,
    1,
    -1,
    63,
    64,
    -64,
    -65,
    300,
    2 ** 30,
    2 ** 31 - 1,
    2 ** 31,
    -(2 ** 31),
    -(2 ** 31) - 1,
  ]
  const large = [
    2 ** 32,
    2 ** 33 + 5,
    2 ** 48 + 1,
    -(2 ** 48),
    Number.MAX_SAFE_INTEGER,
    Number.MIN_SAFE_INTEGER,
  ]

  it('is the protocol buffers encoding of its zigzag, as bigints compute it', () => {
    for (const value of [...values, ...large]) {
      const buffer = Buffer.alloc(10)
      const end = writeVarint(buffer, 0, value)
      expect(buffer.subarray(0, end).toString('hex'), `${value}`).toBe(byBigint(BigInt(value)))
      expect(varintBytes(value)).toBe(end)
      const reader = new VarintReader(buffer, 0)
      expect(reader.next()).toBe(value)
      expect(reader.at).toBe(end)
    }
  })

  it('that does not end, or is beyond 2^53 - 1, is refused', () => {
    expect(() => new VarintReader(Buffer.from([0x80]), 0).next()).toThrow(RangeError)
    expect(() => new VarintReader(Buffer.alloc(11, 0xff), 0).next()).toThrow(RangeError)
    const tooLarge = Buffer.from(byBigint(2n ** 60n), 'hex')
    expect(() => new VarintReader(tooLarge, 0).next()).toThrow(/2\^53/)
  })
})

function byBigint(value: bigint): string {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
  const bytes: number[] = []
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  bytes.push(Number(rest))
  return Buffer.from(bytes).toString('hex')
}

function record(key: string | null, value: string | null, timestamp: number): BatchRecord {
  return {
    key: key === null ? null : Buffer.from(key),
    value: value === null ? null : Buffer.from(value),
    timestamp,
    headers: NO_HEADERS,
  }
}

function plain({ key, value, timestamp, headers }: LogRecord): BatchRecord {
  return { key, value, timestamp, headers }
}

function encode(records: readonly BatchRecord[], stamp: BatchStamp): Buffer {
  const builder = new RecordBatchBuilder()
  for (const each of records) builder.append(each)
  return Buffer.concat(builder.seal(stamp))
}

function decode(bytes: Buffer): { readonly header: BatchHeader; readonly decoded: LogRecord[] } {
  const header = readBatchHeader(bytes, 0)
  const batchCrc = verifyBatch(bytes, 0, header)
  const decoded: LogRecord[] = []
  const source = { buffer: bytes, at: BATCH_HEADER_BYTES, end: header.sizeBytes }
  decodeRecords(source, header, { into: decoded, batchCrc })
  return { header, decoded }
}
