import { expect, test } from 'vitest'
import { crc32c } from '../../model/crc32c.ts'
import { asTopic } from '../../model/position.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { avro } from '../../serdes/avro.ts'
import { LentBuffers } from '../../serdes/lent-buffers.ts'
import { memoryRegistry } from '../../serdes/memory-registry.ts'
import { chunkRecords } from '../../video/chunk-records.ts'
import { MAX_VIDEO_ID_BYTES } from '../../video/ingest.ts'
import { probeVideo } from '../../video/probe.ts'
import { Chunk, ChunkKey } from '../../video/schemas.ts'
import { VideoFile } from '../../video/video-file.ts'
import { makeClip } from '../../video/clip.ts'
import { drawnSeed } from '../seed.ts'
import { temporaryFolder } from './ffmpeg-clips.ts'

test('a value is what Avro makes of its chunk, at any size of chunks and from any chunk on', async () => {
  const { folder, remove } = await temporaryFolder()
  try {
    await using file = await VideoFile.open((await makeClip({ folder, size: 'small' })).path)
    const video = await probeVideo(file)
    const open = { topic: asTopic('raw'), registry: memoryRegistry() }
    const keys = await avro(ChunkKey).open({ ...open, role: 'key' })
    const chunks = await avro(Chunk).open({ ...open, role: 'value' })
    const seed = drawnSeed(1e6)
    const odd = 150_000 + (seed % 60_000)
    for (const [chunkBytes, fromIndex] of [
      [odd, 0],
      [odd, 2],
      [8192, 3],
      [2 ** 26, 0],
    ] as const) {
      const room = new LentBuffers()
      const source = {
        file,
        video,
        keys,
        chunks,
        room,
        chunkBytes,
        fromIndex,
        lastTimestamp: 0,
        videoId: 'v'.repeat(MAX_VIDEO_ID_BYTES),
        clock: systemClock(),
        verify: async () => {},
      }
      let at = chunkBytes * fromIndex
      for await (const { value, valueCrc } of chunkRecords(source)) {
        const chunk = chunks.deserialize(value, 0, value.length)
        const context = `seed ${seed}, ${chunkBytes} bytes at ${at}`
        expect(chunk.offset, context).toBe(at)
        expect(value.equals(chunks.serialize(chunk)), context).toBe(true)
        expect(valueCrc, context).toBe(crc32c(value))
        expect(room.has(value), context).toBe(chunk.bytes.length + 512 >= 2 ** 17)
        at += chunk.bytes.length
        room.giveBack(value)
      }
      expect(at).toBe(video.stream.sizeBytes)
    }
  } finally {
    await remove()
  }
})
