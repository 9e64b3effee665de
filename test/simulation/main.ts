/**
 * `npm run simulate -- --seeds N [--from S] [--workers W] [--guarantee at-least-once]`: any number of
 * seeds; the first that fails is printed with its trace, and shrunk to the faults that are enough.
 * `--every-await` kills a process at each of its awaits in turn, in every scenario.
 * `--seed S` runs one and prints its trace; `--only '["…"]'` lets only these of its faults happen.
 */
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import type { Guarantee } from '../../runtime/config.ts'
import type { WorkerAnswer } from './hunt-worker.ts'
import { stopAtEveryAwait } from './every-await.ts'
import { SCENARIOS } from './shape.ts'
import { describeShrunk, shrink } from './shrink.ts'
import { runSeed } from './world.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    workers: { type: 'string', default: '1' },
    guarantee: { type: 'string', default: 'exactly-once' },
    seed: { type: 'string' },
    only: { type: 'string' },
    'every-await': { type: 'boolean', default: false },
  },
})
const guarantee: Guarantee = values.guarantee === 'at-least-once' ? 'at-least-once' : 'exactly-once'
const PROGRESS = 500

if (values['every-await']) await killEverywhere()
else if (values.seed === undefined) await huntAll()
else await show(Number(values.seed))

/** Runs one seed and prints what happened. */
async function show(seed: number): Promise<void> {
  const only = values.only === undefined ? {} : { only: namesIn(values.only) }
  const report = await runSeed(seed, { guarantee, ...only })
  console.log(report.trace.join('\n'))
  if (report.problems.length === 0) {
    console.log(`seed ${seed} under ${guarantee}: nothing found`)
    return
  }
  console.log(describeShrunk(await shrink(report, { guarantee }), guarantee))
  process.exitCode = 1
}

/** Kills a process at each of its awaits, one run each. */
async function killEverywhere(): Promise<void> {
  for (const scenario of SCENARIOS) {
    for (const mode of ['static', 'group'] as const) {
      let last = 0
      const every = { scenario, mode, seed: Number(values.from), from: 1, step: 1 }
      const failed = await stopAtEveryAwait(every, (touch) => (last = touch))
      console.log(`${scenario.name}, ${mode}: killed at each of ${last} awaits`)
      if (failed === undefined) continue
      const { touch, report } = failed
      console.log([...report.trace, `killed at touch ${touch}:`, ...report.problems].join('\n'))
      process.exit(1)
    }
  }
}

function namesIn(text: string): readonly string[] {
  const names: unknown = JSON.parse(text)
  if (Array.isArray(names)) return names.map(String)
  throw new TypeError(`--only takes a JSON array of names of faults, and not ${text}`)
}

/** Spreads the seeds over the workers; the first failing one ends the hunt. */
async function huntAll(): Promise<void> {
  const [from, count] = [Number(values.from), Number(values.seeds)]
  const step = Math.max(1, Number(values.workers))
  let done = 0
  const onRun = (): void => {
    done += 1
    if (done % PROGRESS === 0) console.log(`${done} of ${count} seeds`)
  }
  const workers = Array.from({ length: step }, (_, first) => {
    const order = { from: from + first, count: count - first, step, guarantee }
    return new Worker(new URL('./hunt-worker.ts', import.meta.url), { workerData: order })
  })
  const failed = Promise.withResolvers<number>()
  const all = workers.map(async (worker) => {
    const seed = await failureOf(worker, onRun)
    if (seed !== undefined) failed.resolve(seed)
  })
  const found = await Promise.race([failed.promise, Promise.all(all).then(() => undefined)])
  await Promise.all(workers.map(async (worker) => await worker.terminate()))
  if (found === undefined) {
    console.log(`${count} seeds from ${from} under ${guarantee}: nothing found`)
    return
  }
  await show(found)
}

/** The first failing seed of one worker's share; undefined where all hold. */
async function failureOf(worker: Worker, onRun: () => void): Promise<number | undefined> {
  return await new Promise((resolve, reject) => {
    worker.on('error', reject)
    worker.on('message', (answer: WorkerAnswer) => {
      if (answer.kind === 'ran') onRun()
      else resolve(answer.seed)
    })
  })
}
