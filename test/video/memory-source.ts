/** Bytes in memory as a video, and the map of one. */
import { probeVideo, type ProbedVideo } from '../../video/probe.ts'
import { slices } from '../../video/slicer.ts'
import type { SliceTimes } from '../../video/slice-times.ts'
import type { PlacedFrame, TimeMap, TimeRange } from '../../video/time-map.ts'
import type { VideoSource } from '../../video/video-source.ts'

export function inMemory(bytes: Buffer): VideoSource {
  return {
    sizeBytes: bytes.length,
    place: 'memory',
    read: async (offset, target) => void bytes.copy(target, 0, offset, offset + target.length),
  }
}

/** The complete map of a video that has times. */
export async function mapOf(bytes: Buffer): Promise<TimeMap> {
  const map = await (await probeVideo(inMemory(bytes))).readTimes()
  if (map === null) throw new TypeError('the container says no times')
  return map
}

/** All shown frames by the time they are shown. */
export function byTime(map: TimeMap): readonly PlacedFrame[] {
  return [...map].toSorted((a, b) => a.startUs - b.startUs)
}

/** The times of a video's slices as ingest gets them, and the walk that told them. */
export async function slicedTimes(
  video: ProbedVideo,
  chunkBytes: number,
): Promise<{ readonly ranges: readonly (TimeRange | null)[]; readonly walk: SliceTimes }> {
  const walk = video.openTimes()
  if (walk === null) throw new TypeError('the container says no times')
  const ranges: (TimeRange | null)[] = []
  for await (const { times } of slices({ stream: video.stream, times: walk }, chunkBytes)) {
    ranges.push(times)
  }
  return { ranges, walk }
}

/** A generator of whole numbers below a bound, the same for the same seed. */
export function seededNumbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state * 1103515245 + 12345) % 2 ** 31
    return Math.floor((state / 2 ** 31) * below)
  }
}
