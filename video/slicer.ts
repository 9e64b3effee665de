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
  /** Where no buffers were given, valid until the slice after the next is asked for. */
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

/** Gives the buffer of a slice, of `bytes` bytes. */
export type SliceBuffers = (index: number, bytes: number) => Buffer

/** Two buffers that slices of up to `mostBytes` use in turn. */
export function twoInTurn(mostBytes: number): SliceBuffers {
  const made: [Buffer?, Buffer?] = []
  return (index, bytes) =>
    (made[index % 2 === 0 ? 0 : 1] ??= Buffer.allocUnsafeSlow(mostBytes)).subarray(0, bytes)
}

/** What is sliced. */
export interface SlicedStream {
  readonly stream: VideoSource
  /** Walks through the slices' times. */
  readonly times: SliceTimes | null
  /** Default: twoInTurn. */
  readonly buffers?: SliceBuffers
}

/** The slices of a stream in order, with their times where `times` walks through it. */
export async function* slices(
  { stream, times, buffers }: SlicedStream,
  chunkBytes: number,
): AsyncGenerator<Slice> {
  const bufferOf = buffers ?? twoInTurn(Math.min(chunkBytes, stream.sizeBytes))
  for (let index = 0; index < sliceCount(stream.sizeBytes, chunkBytes); index += 1) {
    const offset = index * chunkBytes
    const end = Math.min(offset + chunkBytes, stream.sizeBytes)
    const bytes = bufferOf(index, end - offset)
    await stream.read(offset, bytes)
    yield { index, offset, bytes, times: (await times?.rangeOf(offset, end)) ?? null }
  }
}
