/**
 * Clips with hard cuts, dissolves, fades and flashes at known frames, made by ffmpeg's own filters
 * from pictures that wander under grain. Everything is drawn from a seed.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { findFfmpeg, runFfmpeg } from '../../../video/ffmpeg.ts'
import { seeded } from './synthetic-frames.ts'

/** How one shot passes into the next. */
export type TransitionKind = 'cut' | 'dissolve' | 'black' | 'white' | 'fade-then-cut'

/** Where: the first frame that is not all of the old shot, and the first that is all of the new one. */
export interface KnownTransition {
  readonly kind: TransitionKind
  readonly from: number
  readonly to: number
}

/** A clip and what is in it. */
export interface TransitionClip {
  readonly bytes: Buffer
  readonly frames: number
  readonly transitions: readonly KnownTransition[]
  readonly flashes: readonly number[]
}

/** What a clip is made of. */
export interface TransitionClipOptions {
  readonly seed: number
  readonly kinds: readonly TransitionKind[]
  readonly shots?: number
  readonly framesPerSecond?: number
  /** How many of the shots have a flash. Default 0.3. */
  readonly flashShare?: number
  /** How fast the pictures wander, as a multiple of the usual. Default 1. */
  readonly motion?: number
  /** Shortest and longest transition, frames. Default 8 to 30. */
  readonly lengths?: readonly [number, number]
}

/** Makes a clip. */
export async function makeTransitionClip(options: TransitionClipOptions): Promise<TransitionClip> {
  const { seed, kinds, shots = 12, framesPerSecond = 25 } = options
  const { flashShare = 0.3, lengths = [8, 30], motion = 1 } = options
  const random = seeded(seed)
  const pick = (low: number, high: number): number => low + Math.floor(random() * (high - low + 1))
  const chains: string[] = []
  const parts: string[] = []
  const transitions: KnownTransition[] = []
  const flashes: number[] = []
  let at = 0
  let previous: { label: string; length: number } | undefined
  for (let shot = 0; shot < shots; shot += 1) {
    const kind = shot === 0 ? 'cut' : (kinds[pick(0, kinds.length - 1)] ?? 'cut')
    const length = kind === 'cut' ? 0 : pick(...lengths)
    const body = pick(26, 60)
    // The frames that go into the transition to the next shot are made with this one.
    const spare = lengths[1]
    const total = length + body + spare
    const flash = random() < flashShare ? length + pick(8, body - 8) : undefined
    chains.push(sceneChain({ random, label: `s${shot}`, total, flash, framesPerSecond, motion }))
    chains.push(`[s${shot}]split=3[h${shot}][b${shot}][t${shot}]`)
    chains.push(
      `[b${shot}]trim=start_frame=${length}:end_frame=${length + body},setpts=PTS-STARTPTS[body${shot}]`,
    )
    const tail = `[t${shot}]trim=start_frame=${length + body},setpts=PTS-STARTPTS[tail${shot}]`
    const head = `[h${shot}]trim=end_frame=${Math.max(1, length)},setpts=PTS-STARTPTS[head${shot}]`
    chains.push(tail, head)
    const joint = jointOf({ kind, length, shot, hold: pick(0, 8), framesPerSecond })
    chains.push(...joint.chains)
    parts.push(...joint.parts, `[body${shot}]`)
    if (previous !== undefined) {
      transitions.push({ kind, from: at + joint.cutAt[0], to: at + joint.cutAt[1] })
    }
    at += joint.frames
    if (flash !== undefined) flashes.push(at + flash - length)
    at += body
    previous = { label: `tail${shot}`, length: spare }
  }
  chains.push(`[tail${shots - 1}]nullsink`)
  const joined = `${parts.join('')}concat=n=${parts.length}:v=1,settb=1/${framesPerSecond},setpts=N[out]`
  const bytes = await encoded([...chains, joined].join(';'), framesPerSecond)
  return { bytes, frames: at, transitions, flashes }
}

interface Joint {
  readonly chains: readonly string[]
  readonly parts: readonly string[]
  readonly frames: number
  /** The transition's first and last place, from where the joint begins. */
  readonly cutAt: readonly [number, number]
}

/** The frames between the body of the shot before and that of this one. */
function jointOf(joint: {
  kind: TransitionKind
  length: number
  shot: number
  hold: number
  framesPerSecond: number
}): Joint {
  const { kind, length, shot, hold, framesPerSecond } = joint
  const [head, tail] = [`[head${shot}]`, `[tail${shot - 1}]`]
  const unused = (label: string): string => `${label}nullsink`
  if (kind === 'cut') {
    const chains = shot === 0 ? [unused(head)] : [unused(head), unused(tail)]
    return { chains, parts: [], frames: 0, cutAt: [0, 0] }
  }
  const cutTail = `${tail}trim=end_frame=${length},setpts=PTS-STARTPTS`
  if (kind === 'dissolve') {
    const share = `(N+1)/${length + 1}`
    const chain = `${cutTail}[x${shot}];[x${shot}]${head}blend=all_expr='A*(1-${share})+B*${share}',trim=end_frame=${length}[j${shot}]`
    return { chains: [chain], parts: [`[j${shot}]`], frames: length, cutAt: [0, length] }
  }
  const color = kind === 'white' ? 'white' : 'black'
  const out = `${cutTail},fade=out:0:${length}:color=${color}[o${shot}]`
  const plain = `color=${color}:s=${WIDTH}x${HEIGHT}:r=${framesPerSecond},format=yuv420p,trim=end_frame=${hold + 1},setpts=PTS-STARTPTS[p${shot}]`
  const parts = [`[o${shot}]`, `[p${shot}]`]
  const dark = length + hold + 1
  if (kind === 'fade-then-cut') {
    return { chains: [out, plain, unused(head)], parts, frames: dark, cutAt: [dark, dark] }
  }
  const into = `${head}fade=in:0:${length}:color=${color}[i${shot}]`
  return {
    chains: [out, plain, into],
    parts: [...parts, `[i${shot}]`],
    frames: dark + length,
    cutAt: [0, dark + length],
  }
}

const WIDTH = 320
const HEIGHT = 180

function sceneChain(scene: {
  random: () => number
  label: string
  total: number
  flash: number | undefined
  framesPerSecond: number
  motion: number
}): string {
  const { random, label, total, flash, framesPerSecond, motion } = scene
  const between = (low: number, high: number): string => (low + random() * (high - low)).toFixed(3)
  const wave = (): string =>
    [
      `sin(X/${between(8, 60)}+${between(0, 6)})*cos(Y/${between(8, 60)})`,
      `sin(hypot(X-${between(0, 400)},Y-${between(0, 225)})/${between(8, 40)})`,
      `(mod(floor(X/${between(15, 60)})+floor(Y/${between(15, 60)}),2)*2-1)`,
      `sin((X+${between(-2, 2)}*Y)/${between(10, 50)})`,
    ][Math.floor(random() * 4)] ?? '0'
  const luma = `clip(${between(50, 190)}+${between(20, 55)}*${wave()}+${between(5, 25)}*${wave()},16,235)`
  const chroma = (): string => `${between(70, 186)}+${between(5, 40)}*${wave()}`
  const roam = (size: number): string =>
    `${size / 8}*(1+0.9*sin(t*${between(0.1 * motion, 1.6 * motion)}+${between(0, 6)}))`
  return [
    `color=black:s=400x225:r=${framesPerSecond},format=yuv420p,trim=end_frame=1`,
    `geq=lum='${luma}':cb='${chroma()}':cr='${chroma()}'`,
    `loop=loop=-1:size=1:start=0,trim=end_frame=${total},setpts=N/${framesPerSecond}/TB`,
    `crop=${WIDTH}:${HEIGHT}:x='${roam(WIDTH)}':y='${roam(HEIGHT)}'`,
    // White fades are made in RGB: colours that it does not have would jump there.
    'format=gbrp,format=yuv420p',
    `noise=alls=${between(4, 18)}:allf=t:all_seed=${Math.floor(random() * 1e6)}`,
    ...(flash === undefined
      ? []
      : [
          `drawbox=c=white@0.9:t=fill:enable='between(n,${flash},${flash + Math.floor(random() * 3)})'`,
        ]),
  ]
    .join(',')
    .concat(`[${label}]`)
}

async function encoded(graph: string, framesPerSecond: number): Promise<Buffer> {
  const folder = await mkdtemp(path.join(tmpdir(), 'millrace-transitions-'))
  try {
    const file = path.join(folder, 'clip.ts')
    const coding = '-an -c:v libx264 -preset ultrafast -bf 2 -crf 23 -pix_fmt yuv420p'.split(' ')
    await runFfmpeg({
      program: await findFfmpeg(),
      args: [
        '-y',
        '-filter_complex',
        graph,
        '-map',
        '[out]',
        '-r',
        String(framesPerSecond),
        ...coding,
        file,
      ],
    })
    return await readFile(file)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
