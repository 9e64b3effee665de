/** What the demo shows of a video at the end: its shots with their chunks, and whether all is right. */
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder } from '../model/make-folder.ts'
import type { Clip } from '../video/clip.ts'
import type { JoinedVideo } from '../video/joined-video.ts'
import type { ReassembledVideo } from '../video/reassemble.ts'
import type { VideoState } from '../video/schemas.ts'
import { cutsOf, listShots, toWebVtt, vttTime, type ListedShot } from '../video/shot-list.ts'
import type { Json, Output } from './output.ts'

/** What the report is about. */
export interface DemoReport {
  readonly video: VideoState
  readonly joined: JoinedVideo
  readonly reassembled: ReassembledVideo
  /** The clip whose cuts are known; undefined for a file of the user's. */
  readonly clip: Clip | undefined
  readonly output: Output
  /** Where the shots are written. */
  readonly folder: string
}

/** One line of the final check. */
interface Check {
  readonly name: string
  readonly isRight: boolean
  readonly says: string
}

/** Prints the table, writes the files and checks. Answers whether everything is right. */
export async function reportVideo(report: DemoReport): Promise<boolean> {
  const { video, joined, output } = report
  const shots = listShots(joined.annotations)
  const files = await writeShots(report, shots)
  const checks = checksOf(report, shots)
  const lines = [
    '',
    `${video.name} (${video.videoId}): ${shots.length} shots`,
    '',
    ...tableOf(shots, joined),
    '',
    ...files.map((file) => `written  ${file}`),
    ...checks.map(({ name, isRight, says }) => `${isRight ? 'ok ' : 'BAD'}      ${name}: ${says}`),
  ]
  const data = {
    videoId: video.videoId,
    shots: shots.map((shot) => ({ ...shot, chunkOffsets: [...shot.chunkOffsets] })),
    files,
    checks: checks.map((check) => ({ ...check })),
  } satisfies Json
  output.result('video', lines.join('\n'), data)
  return checks.every(({ isRight }) => isRight)
}

function tableOf(shots: readonly ListedShot[], { chunks }: JoinedVideo): readonly string[] {
  const indexOf = new Map(chunks.map(({ annotation }, i) => [annotation?.offset, i]))
  const rows = shots.map(({ startUs, endUs, chunkOffsets }, i) => {
    const indices = chunkOffsets.map((offset) => indexOf.get(offset) ?? 0)
    const [first = 0, last = first] = [indices[0], indices.at(-1)]
    const span = first === last ? `${first}` : `${first}-${last}`
    return `${String(i + 1).padStart(4)}   ${vttTime(startUs)}   ${vttTime(endUs)}   ${span}`
  })
  return ['shot   first frame    last frame     chunks', ...rows]
}

async function writeShots(
  { video, folder }: DemoReport,
  shots: readonly ListedShot[],
): Promise<readonly string[]> {
  await makeFolder(folder)
  const name = encodeURIComponent(video.videoId)
  const json = join(folder, `${name}.shots.json`)
  const vtt = join(folder, `${name}.vtt`)
  await writeWhole(
    json,
    `${JSON.stringify({ videoId: video.videoId, name: video.name, shots }, null, 2)}\n`,
  )
  await writeWhole(vtt, toWebVtt(shots))
  return [json, vtt]
}

/** A reader never sees half a file. */
async function writeWhole(file: string, text: string): Promise<void> {
  await writeFile(`${file}.part`, text)
  await rename(`${file}.part`, file)
}

function checksOf(report: DemoReport, shots: readonly ListedShot[]): readonly Check[] {
  const { video, joined, reassembled, clip } = report
  const once = {
    name: 'exactly once',
    isRight: joined.records === video.chunks && joined.annotations.length === video.chunks,
    says: `${joined.records} joined records for ${video.chunks} chunks`,
  }
  const bytes = {
    name: 'bytes',
    isRight: reassembled.sha256 === video.streamSha256,
    says: `SHA-256 of the joined records ${reassembled.sha256}, of the stream that was sliced ${video.streamSha256}`,
  }
  const source = {
    name: 'source',
    isRight: video.layout === 'moovFirst' || video.sourceSha256 === video.streamSha256,
    says:
      video.layout === 'moovFirst'
        ? `the file's own is ${video.sourceSha256}: its header was at the end and is in front in the stream`
        : `the file's own is ${video.sourceSha256}`,
  }
  return clip === undefined ? [once, bytes, source] : [once, bytes, source, cutsCheck(clip, shots)]
}

function cutsCheck({ cutsUs, frameRate }: Clip, shots: readonly ListedShot[]): Check {
  const frameUs = 1e6 / frameRate
  const found = cutsOf(shots)
  const near = (a: number, of: readonly number[]): boolean =>
    of.some((b) => Math.abs(a - b) <= frameUs)
  const hits = cutsUs.filter((cut) => near(cut, found)).length
  const extra = found.filter((cut) => !near(cut, cutsUs)).length
  return {
    name: 'cuts',
    isRight: hits === cutsUs.length && extra === 0,
    says: `${hits} of ${cutsUs.length} found within one frame, ${extra} that were not made`,
  }
}
