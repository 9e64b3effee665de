/**
 * The demo is killed again and again, at random instants of every phase, and started again each time.
 * By hand, longer: KILLS=20 CLIP=demo KILL_SEED=7 npx vitest run test/cli/demo-kill.test.ts
 */
import { cp, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../runtime/system-clock.ts'
import { SeededRandom } from '../../testing/seeded-random.ts'
import { PHASES, remainsOf, startDemo, type DemoRemains, type Phase } from './demo-lives.ts'

const KILLS = Number(process.env['KILLS'] ?? 8)
const SEED = Number(process.env['KILL_SEED'] ?? Math.floor(systemClock().now() % 1e6))
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
  expect(await life.ended).toMatchObject({ code: 0 })
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
    const plan = planOf(random)
    const hit: string[] = []
    for (let first = 0, made = 0; first < plan.length; first += KILLS_PER_FOLDER, made += 1) {
      const dir = join(folder, `killed-${made}`)
      // The first folder has no clip yet: it is killed while it makes one.
      if (made > 0)
        await cp(join(folder, 'undisturbed', 'clips'), join(dir, 'clips'), { recursive: true })
      for (const phase of plan.slice(first, first + KILLS_PER_FOLDER)) {
        const life = startDemo(dir, ARGS)
        await life.reaches(phase)
        const atMs = random.next() * (lengthMs.get(phase) ?? 0)
        await Promise.race([sleep(atMs), life.ended])
        hit.push(`${life.phase()}+${Math.round(atMs)}`)
        await life.kill()
        expect(await life.left(), `seed ${SEED}, killed at ${hit.at(-1)}`).toEqual([])
      }
      const last = startDemo(dir, ARGS)
      expect(await last.ended, `seed ${SEED}, killed at ${hit.join(' ')}`).toMatchObject({
        code: 0,
      })
      expect(await last.left()).toEqual([])
      const remains = await remainsOf(dir)
      expect(remains, `seed ${SEED}, killed at ${hit.join(' ')}`).toEqual(undisturbed)
      expect(await readdir(join(dir, 'clips'))).toHaveLength(1)
      await rm(dir, { recursive: true, force: true })
    }
    console.log(`seed ${SEED}, killed at ${hit.join(' ')} (phase + milliseconds)`)
  },
  TIMEOUT_MS,
)

/** Which phase each kill is aimed at: all of them, most often those that write. */
function planOf(random: SeededRandom): readonly Phase[] {
  const weighted: readonly Phase[] = [
    'ingest',
    'annotate',
    'annotate',
    'check',
    'start',
    'annotate',
  ]
  const shift = random.below(weighted.length)
  return Array.from({ length: KILLS }, (_, i): Phase => {
    if (i < 2) return 'clip'
    return weighted[(i + shift) % weighted.length] ?? 'annotate'
  })
}
