import { describe, expect, test } from 'vitest'
import { avro } from '../../serdes/avro.ts'
import { LentBuffers } from '../../serdes/lent-buffers.ts'
import { memoryRegistry } from '../../serdes/memory-registry.ts'

const KIB = 1024

describe('lent buffers', () => {
  test('lends again what was given back, found by any part of it', () => {
    const buffers = new LentBuffers()
    const first = buffers.take(100 * KIB)
    expect(first.length).toBeGreaterThanOrEqual(100 * KIB)
    buffers.giveBack(first.subarray(7, 9))
    expect(buffers.take(101 * KIB).buffer).toBe(first.buffer)
  })

  test('never lends one buffer twice at a time', () => {
    const buffers = new LentBuffers()
    const first = buffers.take(KIB)
    const second = buffers.take(KIB)
    expect(second.buffer).not.toBe(first.buffer)
    buffers.giveBack(first)
    buffers.giveBack(first)
    const third = buffers.take(KIB)
    expect(buffers.take(KIB).buffer).not.toBe(third.buffer)
  })

  test('lets bytes be that it has not lent, or has forgotten', () => {
    const buffers = new LentBuffers()
    const foreign = Buffer.alloc(64 * KIB)
    buffers.giveBack(foreign)
    expect(buffers.take(64 * KIB).buffer).not.toBe(foreign.buffer)
    const lost = buffers.take(64 * KIB)
    buffers.forget()
    expect(buffers.has(lost)).toBe(false)
    buffers.giveBack(lost)
    expect(buffers.take(64 * KIB).buffer).not.toBe(lost.buffer)
  })

  test('keeps no more than its limit, and rather the newest', () => {
    const buffers = new LentBuffers(256 * KIB)
    const small = buffers.take(128 * KIB)
    const large = buffers.take(256 * KIB)
    const huge = buffers.take(512 * KIB)
    for (const each of [small, large, huge]) buffers.giveBack(each)
    expect(buffers.take(256 * KIB).buffer).toBe(large.buffer)
    expect(buffers.take(128 * KIB).buffer).not.toBe(small.buffer)
    expect(buffers.take(512 * KIB).buffer).not.toBe(huge.buffer)
  })
})

describe('an Avro value that is written into lent room', () => {
  const schema = {
    type: 'record',
    name: 'Big',
    fields: [{ name: 'bytes', type: 'bytes' }],
  } as const
  const open = () => avro(schema).open({ topic: 'big', role: 'value', registry: memoryRegistry() })

  test('is the same bytes, whatever the buffer held and however sizes change', async () => {
    const serde = await open()
    const plain = await open()
    const room = new LentBuffers()
    for (const size of [10, 5_000, 300_000, 299_000, 1_000_000, 3_000, 0, 1_000_000]) {
      const value = { bytes: Buffer.alloc(size, size % 251) }
      const written = serde.serialize(value, room)
      expect(written.equals(plain.serialize(value))).toBe(true)
      written.fill(0xee)
      room.giveBack(written)
    }
  })

  test('takes room only when it is big', async () => {
    const serde = await open()
    const room = new LentBuffers()
    expect(room.has(serde.serialize({ bytes: Buffer.alloc(10) }, room))).toBe(false)
    expect(room.has(serde.serialize({ bytes: Buffer.alloc(100_000) }, room))).toBe(true)
  })
})
