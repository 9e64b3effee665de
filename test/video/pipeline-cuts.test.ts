import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test } from 'vitest'
import { local } from '../../video/annotators/local.ts'
import { CLIP_FRAME_RATE, clipArguments, cutFrames, DEMO_RECIPE } from '../../video/clip-scenes.ts'
import { findFfmpeg, runFfmpeg } from '../../video/ffmpeg.ts'
import type { Shot } from '../../video/schemas.ts'
import { cutsOf } from '../../video/shot-list.ts'

/**
 * Scenes that are shown in full length: in these the camera stands nearly still and then moves by two
 * pixels at once, for a crop moves by whole pixels of the colour planes. The others are cut short.
 */
const WHOLE_SCENES: readonly number[] = [14, 15, 16, 17]

test('every cut between the scenes of the demo is found at its frame, and none inside a scene', async () => {
  const sceneFrames = DEMO_RECIPE.sceneFrames.map((frames, scene) =>
    WHOLE_SCENES.includes(scene) ? frames : SHORT_FRAMES,
  )
  const recipe = { ...DEMO_RECIPE, bitsPerSecond: 1_400_000, sceneFrames }
  const folder = await mkdtemp(path.join(tmpdir(), 'millrace-cuts-'))
  try {
    const file = path.join(folder, 'scenes.mp4')
    const program = await findFfmpeg()
    await runFfmpeg({ program, args: [...clipArguments(recipe, 'front'), file] })
    const shots = await shotsOf(await readFile(file))
    const frames = cutsOf(shots).map((us) => Math.round((us * CLIP_FRAME_RATE) / 1e6))
    expect(frames).toEqual(cutFrames(recipe))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

/** Longer than the shortest shot that is looked for. */
const SHORT_FRAMES = 15

async function shotsOf(bytes: Buffer): Promise<readonly Shot[]> {
  const shots: Shot[] = []
  const stream = await local().open({
    videoId: 'scenes',
    signal: new AbortController().signal,
    onProgress: (progress) => void shots.push(...progress.shots),
  })
  await stream.write(bytes)
  stream.end()
  await stream.done
  return shots
}
