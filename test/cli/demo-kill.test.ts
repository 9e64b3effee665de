/**
 * The demo is killed again and again, at random instants of every phase, and started again each time.
 * By hand, longer: KILLS=20 CLIP=demo MILLRACE_SEED=7 npx vitest run test/cli/demo-kill.test.ts
 */
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { SeededRandom } from '../../testing/seeded-random.ts'
import { drawnSeed } from '../seed.ts'
import {
  PHASES,
  remainsOf,
  startDemo,
  type DemoRemains,
  type Life,
  type Phase,
} from './demo-lives.ts'

const KILLS = Number(process.env['KILLS'] ?? 8)
const SEED = drawnSeed(1e6)
const ARGS = process.env['CLIP'] === 'demo' ? [] : ['--small']
ARGS.push('--chunk', '64KiB')
/** How often one folder is killed before it is let end. */
const KILLS_PER_FOLDER = 4
const TIMEOUT_MS = 60_000 + KILLS * 15_000

let folder = ''
let undisturbed: DemoRemains
/** How long each phase takes where nothing disturbs it. */
const lengthMs = new Map<Phase, number>()

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-demo-kill-'))
  const life = startDemo(join(folder, 'undisturbed'), ARGS)
  expectDone(await life.ended)
  for (const [i, phase] of PHASES.entries()) {
    const [from, to] = [life.reachedMs.get(phase), life.reachedMs.get(PHASES[i + 1] ?? 'end')]
    lengthMs.set(phase, Math.max(5, (to ?? 0) - (from ?? 0)))
  }
  undisturbed = await remainsOf(join(folder, 'undisturbed'))
}, TIMEOUT_MS)

afterAll(() => rm(folder, { recursive: true, force: true }))

test(
  `the demo, killed ${KILLS} times and started again, ends with the records of an undisturbed one (seed ${SEED})`,
  async () => {
    const random = new SeededRandom(SEED)
    const aims = aimsFrom(random)
    const hit: string[] = []
    for (let made = 0; hit.length < KILLS; made += 1) {
      const dir = join(folder, `killed-${made}`)
      // The first folder has no clip yet: it is killed while it makes one.
      if (made > 0) {
        await cp(join(folder, 'undisturbed', 'clips'), join(dir, 'clips'), { recursive: true })
      }
      let isEnded = false
      for (let kills = 0; !isEnded && kills < KILLS_PER_FOLDER && hit.length < KILLS; kills += 1) {
        const place = await killedAt(dir, aims(hit.length), random)
        if (place === undefined) isEnded = true
        else hit.push(place)
      }
      const story = `seed ${SEED}, killed at ${hit.join(' ')}`
      if (!isEnded) await liveOn(dir, story)
      expect(await remainsOf(dir), story).toEqual(undisturbed)
      expect(await readdir(join(dir, 'clips')), story).toHaveLength(1)
      await rm(dir, { recursive: true, force: true })
    }
    console.log(`seed ${SEED}, killed at ${hit.join(' ')} (phase + milliseconds)`)
  },
  TIMEOUT_MS,
)

/** Kills a life at a random instant of a phase and says where that was; undefined where it was over before. */
async function killedAt(
  dir: string,
  phase: Phase,
  random: SeededRandom,
): Promise<string | undefined> {
  const life = startDemo(dir, ARGS)
  await life.reaches(phase)
  const atMs = random.next() * (lengthMs.get(phase) ?? 0)
  await Promise.race([sleep(atMs), life.ended])
  const place = `${life.phase()}+${Math.round(atMs)}`
  await life.kill()
  expect(await life.left(), `seed ${SEED}, killed at ${place}`).toEqual([])
  const end = await life.ended
  if (end.code === null) return place
  expectDone(end)
  return undefined
}

function expectDone({ code, said }: Awaited<Life['ended']>, story = ''): void {
  expect(code, `${story} ${said}`).toBe(0)
}

async function liveOn(dir: string, story: string): Promise<void> {
  const life = startDemo(dir, ARGS)
  expectDone(await life.ended, story)
  expect(await life.left(), story).toEqual([])
}

/** Which phase each kill is aimed at: all of them, most often those that write. */
function aimsFrom(random: SeededRandom): (kill: number) => Phase {
  const weighted: readonly Phase[] = [
    'ingest',
    'annotate',
    'annotate',
    'check',
    'start',
    'annotate',
  ]
  const shift = random.below(weighted.length)
  return (kill) => {
    if (kill < 2) return 'clip'
    return weighted[(kill + shift) % weighted.length] ?? 'annotate'
  }
}
