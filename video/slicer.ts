/** Cuts a video's stream into slices of one size, each with the time of its frames. */
import type { SliceTimes } from './slice-times.ts'
import type { TimeRange } from './time-map.ts'
import type { VideoSource } from './video-source.ts'

/** A part of the stream. */
export interface Slice {
  /** From 0. */
  readonly index: number
  /** Of its first byte in the stream. */
  readonly offset: number
  /** Valid until the slice after the next is asked for: two buffers are used in turn. */
  readonly bytes: Buffer
  /** When its frames are shown; null where that is not known or no frame begins in it. */
  readonly times: TimeRange | null
}

/** How many slices of `chunkBytes` a stream makes. */
export function sliceCount(streamBytes: number, chunkBytes: number): number {
  return Math.ceil(streamBytes / chunkBytes)
}

/** `chunkBytes` for a stream that is made of packets: the largest multiple of `packetBytes` that is not more, so that none is cut in two. */
export function wholePackets(chunkBytes: number, packetBytes: number): number {
  return Math.max(1, Math.floor(chunkBytes / packetBytes)) * packetBytes
}

/** The slices of a stream in order, with their times where `times` walks through it. */
export async function* slices(
  { stream, times }: { readonly stream: VideoSource; readonly times: SliceTimes | null },
  chunkBytes: number,
): AsyncGenerator<Slice> {
  // Shared memory, so that a thread that hashes a slice needs no copy of it.
  const bufferBytes = Math.min(chunkBytes, stream.sizeBytes)
  const buffers = [0, 1].map(() => Buffer.from(new SharedArrayBuffer(bufferBytes)))
  for (let index = 0; index < sliceCount(stream.sizeBytes, chunkBytes); index += 1) {
    const offset = index * chunkBytes
    const end = Math.min(offset + chunkBytes, stream.sizeBytes)
    const bytes = (buffers[index % 2] ?? Buffer.alloc(0)).subarray(0, end - offset)
    await stream.read(offset, bytes)
    yield { index, offset, bytes, times: (await times?.rangeOf(offset, end)) ?? null }
  }
}
