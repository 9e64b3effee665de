import { describe, expect, test } from 'vitest'
import { crc32c } from '../../model/crc32c.ts'
import { asPartition, asTopic } from '../../model/position.ts'
import type { Clock } from '../../model/clock.ts'
import { avro } from '../../serdes/avro.ts'
import { LentBuffers } from '../../serdes/lent-buffers.ts'
import { memoryRegistry } from '../../serdes/memory-registry.ts'
import { handClock } from '../../testing/hand-clock.ts'
import { memoryLog } from '../../transport/memory/memory-log.ts'
import type { Producer } from '../../transport/transport.ts'
import type { ChunkRecord } from '../../video/chunk-records.ts'
import { writeChunks } from '../../video/ingest-writer.ts'
import { VideoState } from '../../video/schemas.ts'

const RAW = { topic: asTopic('raw'), partition: asPartition(0) }
const VIDEOS = { topic: asTopic('videos'), partition: asPartition(0) }
const CHUNK_BYTES = 100

const EMPTY: VideoState = {
  videoId: 'v',
  name: 'v.mp4',
  status: 'ingesting',
  container: 'mp4',
  layout: 'asIs',
  sourceBytes: 1000,
  streamBytes: 1000,
  chunkBytes: CHUNK_BYTES,
  chunks: 10,
  durationUs: null,
  frames: null,
  frameRate: null,
  constantFrameRate: null,
  codec: null,
  width: null,
  height: null,
  fingerprint: '',
  sourceSha256: null,
  streamSha256: null,
  nextIndex: 0,
  nextOffset: 0,
  prefixCrc32c: 0,
  firstLogOffset: 0,
  lastTimestamp: 0,
}

function chunk(index: number): ChunkRecord {
  const nextOffset = (index + 1) * CHUNK_BYTES
  const value = Buffer.alloc(CHUNK_BYTES, index)
  return {
    key: Buffer.from(`${index}`),
    value,
    valueCrc: crc32c(value),
    timestamp: 1,
    progress: { nextIndex: index + 1, nextOffset, prefixCrc32c: 0, lastTimestamp: 1 },
  }
}

/** Chunks that come one by one, when the test says so. */
class Tap {
  readonly #gates = Array.from({ length: 10 }, () => Promise.withResolvers<void>())
  #released = 0

  release(count: number): void {
    for (const gate of this.#gates.slice(this.#released, this.#released + count)) gate.resolve()
    this.#released += count
  }

  async *chunks(): AsyncGenerator<ChunkRecord> {
    for (const [index, { promise }] of this.#gates.entries()) {
      await promise
      yield chunk(index)
    }
  }
}

/** A log with both topics, a producer that may begin, and chunks that come when they are let. */
async function openIngest() {
  const clock = handClock()
  const log = memoryLog({ clock })
  const topics = [RAW.topic, VIDEOS.topic].map((topic) => ({ topic, partitions: 1 }))
  await log.admin.createTopics(topics)
  const producer = log.openProducer({ transactionalId: 'v' })
  await producer.init()
  const committed: number[] = []
  return {
    clock,
    producer,
    tap: new Tap(),
    committed,
    [Symbol.asyncDispose]: async (): Promise<void> => {
      await using _log = log
      await producer[Symbol.asyncDispose]()
    },
  }
}

/** Rows that were committed, by how many chunks they count. */
async function writing(
  records: AsyncGenerator<ChunkRecord>,
  producer: Producer,
  { clock, committed }: { readonly clock: Clock; readonly committed: number[] },
): Promise<VideoState> {
  const context = { topic: VIDEOS.topic, role: 'value', registry: memoryRegistry() } as const
  const rows = await avro(VideoState).open(context)
  return await writeChunks(records, EMPTY, {
    producer,
    room: new LentBuffers(),
    clock,
    raw: RAW,
    videos: VIDEOS,
    rows,
    // Groups of one chunk.
    transactionBytes: 8 * CHUNK_BYTES,
    transactionMs: 500,
    assertUnchanged: () => Promise.resolve(),
    onCommitted: ({ nextIndex }) => committed.push(nextIndex),
  })
}

describe('the transactions of an ingest', () => {
  test('end at their bytes where chunks come fast, and at the end', async () => {
    await using opened = await openIngest()
    const { clock, producer, tap, committed } = opened
    tap.release(10)
    const row = await writing(tap.chunks(), producer, { clock, committed })
    expect(committed).toEqual([8, 10])
    expect(row.nextIndex).toBe(10)
  })

  test('end after a time where chunks come slowly, and none is open while nothing comes', async () => {
    await using opened = await openIngest()
    const { clock, producer, tap, committed } = opened
    const done = writing(tap.chunks(), producer, { clock, committed })
    await clock.advance(10_000)
    expect(committed).toEqual([])
    tap.release(3)
    await clock.advance(499)
    expect(committed).toEqual([])
    await clock.advance(1)
    // A group ends where the next chunk begins: the third chunk waits for the fourth.
    expect(committed).toEqual([2])
    await clock.advance(10_000)
    expect(committed).toEqual([2])
    expect(clock.untilTimerMs).toBeUndefined()
    tap.release(7)
    await done
    expect(committed).toEqual([2, 10])
  })

  test('have one group under way while the one before it is not acknowledged, and no more', async () => {
    await using opened = await openIngest()
    const { clock, producer, tap, committed } = opened
    const sent: string[] = []
    const acknowledged = Promise.withResolvers<void>()
    const slow: Producer = {
      get bufferedBytes() {
        return producer.bufferedBytes
      },
      init: () => producer.init(),
      send: (record) => {
        sent.push(String(record.key))
        producer.send(record)
      },
      flush: async () => {
        await acknowledged.promise
        return await producer.flush()
      },
      sendOffsets: (offsets, group) => producer.sendOffsets(offsets, group),
      commit: () => producer.commit(),
      abort: () => producer.abort(),
      discard: () => producer.discard(),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }
    tap.release(10)
    const done = writing(tap.chunks(), slow, { clock, committed })
    await clock.rest()
    expect(sent).toEqual(['0', '1'])
    acknowledged.resolve()
    await done
    expect(committed).toEqual([8, 10])
  })
})
