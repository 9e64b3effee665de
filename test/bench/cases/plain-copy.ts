/** The same bytes copied and nothing else: what the disk and the kernel alone take on this machine. */
import { execFile } from 'node:child_process'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { BenchPlace, BenchVariant, BenchWork } from '../bench-case.ts'
import { writeVideo } from '../generated-video.ts'

const BUFFER_BYTES = 1024 * 1024

/** The generated video of a run. */
export function videoPath({ folder }: BenchPlace): string {
  return join(folder, 'video.mp4')
}

/** Makes the video of a run. */
export async function prepareVideo(place: BenchPlace): Promise<void> {
  await writeVideo(videoPath(place), place.sizeBytes)
}

/** A copy by this very runtime: one read and one write at a time, through one buffer. */
export const plainCopy: BenchVariant = {
  name: 'plain copy, 1 MiB buffers',
  prepare: prepareVideo,
  run: async (place, measure) => await measure(async () => await copy(place)),
}

/** A copy by the operating system's own program. Its memory and processor time are not this process's. */
export const systemCopy: BenchVariant = {
  name: 'cp',
  prepare: prepareVideo,
  run: async (place, measure) =>
    await measure(async () => {
      const [from, to] = [videoPath(place), join(place.folder, 'copy')]
      // Not on file systems that share blocks: that would be no copy.
      await promisify(execFile)('cp', ['--reflink=never', from, to])
      return { amount: place.sizeBytes, elsewhere: true }
    }),
}

async function copy(place: BenchPlace): Promise<BenchWork> {
  await using from = await open(videoPath(place), 'r')
  await using to = await open(join(place.folder, 'copy'), 'w')
  const buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES)
  for (let at = 0; ;) {
    const { bytesRead } = await from.read(buffer, 0, buffer.length, at)
    if (bytesRead === 0) return { amount: at }
    await to.write(buffer, 0, bytesRead, at)
    at += bytesRead
  }
}
