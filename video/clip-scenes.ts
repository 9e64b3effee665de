/**
 * What the demo's clip shows: scenes of a known length, one after the other without a transition, so
 * that every cut is known to the frame.
 *
 * A scene is one large picture, computed once from a formula, over which a camera wanders, under
 * film grain that changes in every frame (the grain is what makes the file big). Neighbours differ in
 * pattern, brightness and colour; inside a scene nothing flashes. Everything is counted, nothing is
 * drawn at random: the same ffmpeg makes the same bytes.
 */

/** The scenes of a clip and how it is coded. */
export interface ClipRecipe {
  /** Frames of each scene. */
  readonly sceneFrames: readonly number[]
  readonly width: number
  readonly height: number
  readonly bitsPerSecond: number
}

/** Frames a second of every clip. */
export const CLIP_FRAME_RATE = 25

/** 24 cuts in 73 seconds, 46 MB. */
export const DEMO_RECIPE: ClipRecipe = {
  sceneFrames: Array.from({ length: 25 }, (_, scene) => 50 + ((scene * 37) % 45)),
  width: 640,
  height: 360,
  bitsPerSecond: 5_000_000,
}

/** 7 cuts in 11 seconds, 2 MB, for tests. */
export const SMALL_RECIPE: ClipRecipe = {
  sceneFrames: Array.from({ length: 8 }, (_, scene) => 24 + ((scene * 11) % 25)),
  width: 320,
  height: 180,
  bitsPerSecond: 1_400_000,
}

/** The frames that begin a new scene, the first scene left out. */
export function cutFrames({ sceneFrames }: ClipRecipe): readonly number[] {
  let frame = 0
  return sceneFrames.slice(0, -1).map((length) => (frame += length))
}

/** ffmpeg's arguments for a clip, the output file left out. */
export function clipArguments(recipe: ClipRecipe, header: 'front' | 'end'): readonly string[] {
  const frames = recipe.sceneFrames.reduce((sum, length) => sum + length, 0)
  const seconds = frames / CLIP_FRAME_RATE
  return [
    words(`-v error -y -filter_complex ${sceneGraph(recipe)}`),
    words(`-f lavfi -t ${seconds} -i sine=frequency=220:sample_rate=48000 -map [v] -map 0:a`),
    words(`-c:v libx264 -preset ultrafast -threads 2 -bf 2 -g 250 -b:v ${recipe.bitsPerSecond}`),
    // The grain is most of the file: whatever weighs bits against looks only costs time here.
    words(
      '-x264-params b-adapt=0:rc-lookahead=0:mbtree=0:weightp=0:cabac=0:aq-mode=0:no-psy=1:trellis=0:ref=1:partitions=none',
    ),
    words(`-r ${CLIP_FRAME_RATE} -c:a aac -b:a 96k -map_metadata -1`),
    words('-fflags +bitexact -flags:v +bitexact -flags:a +bitexact'),
    header === 'front' ? words('-movflags +faststart') : [],
    words('-f mp4'),
  ].flat()
}

function sceneGraph(recipe: ClipRecipe): string {
  const scenes = recipe.sceneFrames.map((frames, scene) => sceneChain(recipe, { scene, frames }))
  const inputs = scenes.map((_, scene) => `[s${scene}]`).join('')
  const joined = `${inputs}concat=n=${scenes.length}:v=1:a=0,settb=1/${CLIP_FRAME_RATE},setpts=N[v]`
  return [...scenes, joined].join(';')
}

/** The canvas the formulas are written for; it is scaled to a quarter more than the picture, for the camera to move. */
const CANVAS_WIDTH = 480
const CANVAS_HEIGHT = 270

function sceneChain(
  { width, height }: ClipRecipe,
  { scene, frames }: { scene: number; frames: number },
): string {
  const speedX = (0.3 + (scene % 7) * 0.1).toFixed(1)
  const speedY = (0.4 + (scene % 5) * 0.1).toFixed(1)
  const [roomX, roomY] = [Math.floor(width / 8), Math.floor(height / 8)]
  return [
    `color=black:s=${CANVAS_WIDTH}x${CANVAS_HEIGHT}:r=${CLIP_FRAME_RATE},format=yuv420p`,
    `trim=end_frame=1,geq=${pictureOf(scene)},scale=${(width * 5) / 4}:${(height * 5) / 4}`,
    `loop=loop=-1:size=1:start=0,trim=end_frame=${frames},setpts=N/${CLIP_FRAME_RATE}/TB`,
    `crop=${width}:${height}:x='${roomX}*(1+0.9*sin(t*${speedX}+${scene}))':y='${roomY}*(1+0.9*cos(t*${speedY}+${scene}))'`,
    `noise=all_seed=${scene + 1}:alls=20:allf=t[s${scene}]`,
  ].join(',')
}

/** The formulas of a scene's picture: brightness from one of five patterns, and two colours. */
function pictureOf(scene: number): string {
  const a = 9 + ((scene * 7) % 19)
  const b = 7 + ((scene * 11) % 23)
  const patterns = [
    `35*sin(X/${a})+30*sin(Y/${b})`,
    `45*sin(hypot(X-${100 + scene * 9},Y-${60 + scene * 5})/${a})`,
    `40*(mod(floor(X/${a * 2})+floor(Y/${b * 2}),2)*2-1)`,
    `40*sin((X+Y)/${a})*cos((X-Y)/${b})`,
    `50*sin(X*Y/${a * 90})`,
  ]
  const brightness = `clip(${40 + ((scene * 67) % 150)}+${patterns[scene % patterns.length] ?? '0'},16,235)`
  const blue = `${48 + ((scene * 53) % 160)}+20*sin(X/${30 + scene})`
  const red = `${48 + ((scene * 97) % 160)}+20*cos(Y/${25 + scene})`
  return `lum='${brightness}':cb='${blue}':cr='${red}'`
}

function words(line: string): readonly string[] {
  return line.split(' ')
}
