import { describe, expect, test } from 'vitest'
import { decodeOffsetMetadata, encodeOffsetMetadata } from '../../runtime/offset-metadata.ts'

describe('offset metadata', () => {
  test('comes back as it was written', () => {
    const metadata = {
      partitionTime: 1_700_000_000_123,
      writer: { mode: 'static', transactionalId: 'shop-3' },
      topicId: '6f3c1f0e-6c2b-4c61-9a0e-1c5f0f3b2f10',
    } as const
    expect(decodeOffsetMetadata(encodeOffsetMetadata(metadata))).toEqual(metadata)
  })

  test('begins as Kafka Streams writes it: byte 2, the partition time, a map of text to int64', () => {
    const bytes = Buffer.from(
      encodeOffsetMetadata({ partitionTime: 5, writer: undefined }),
      'base64',
    )
    expect(bytes.toString('hex')).toBe('02' + '0000000000000005' + '00000000')
  })

  test.each([
    ['nothing', ''],
    ['text of another program', 'committed by hand'],
    ['version 1, which has no map', Buffer.from('010000000000000007', 'hex').toString('base64')],
    ['a newer version', Buffer.from('090000000000000007', 'hex').toString('base64')],
    [
      'a map that is cut off',
      Buffer.from('020000000000000007000000020000', 'hex').toString('base64'),
    ],
  ])('is no error where it holds %s', (_, text) => {
    expect(decodeOffsetMetadata(text).writer).toBeUndefined()
  })

  test('of version 1 still gives the partition time', () => {
    const text = Buffer.from('010000000000000007', 'hex').toString('base64')
    expect(decodeOffsetMetadata(text).partitionTime).toBe(7)
  })
})
