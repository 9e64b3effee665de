/**
 * One process of the tests of recovery: it runs until SIGTERM, or until whoever started it is gone.
 * Each event is a line of JSON; the line `counts` on its standard input asks for the store of that name,
 * and `block FILE` keeps its event loop busy until there is such a file.
 */
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { argv } from 'node:process'
import { streams } from '../../runtime/app.ts'
import { AT_LEAST_ONCE, EXACTLY_ONCE, type CommitStep } from '../../runtime/commit.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { memoryRegistry } from '../../serdes/memory-registry.ts'
import { openKafka } from '../../transport/kafka/open.ts'
import { eventLine, runTold } from '../told-process.ts'
import { recoveryPipeline, type RecoveryPlace } from './recovery-pipeline.ts'

const place = JSON.parse(argv[2] ?? '{}') as RecoveryPlace
const { assignment, guarantee } = place
const clock = systemClock()
await using transport = await openKafka({ brokers: place.brokers, clock })
const app = streams(recoveryPipeline(place), {
  transport,
  clock,
  registry: memoryRegistry(),
  state: { kind: 'folder', folder: place.folder },
  limits: place.limits,
  steps: { commit: commitSteps() },
  ...(assignment === undefined ? {} : { assignment }),
  ...(guarantee === undefined ? {} : { guarantee }),
  onEvent: (event) => say({ ...event }),
})
const commands = createInterface(process.stdin)
commands.on('line', (line) => {
  const [command, file = ''] = line.split(' ')
  if (command === 'block') block(file)
  else void tellCounts()
})
process.stdin.once('end', () => process.exit(1))
await runTold(app, say)

async function tellCounts(): Promise<void> {
  const rows: [string, number][] = []
  for await (const [key, { value }] of app.store<string, number>('counts').all()) {
    rows.push([key, Number(value)])
  }
  say({ kind: 'counts', rows })
}

function block(file: string): void {
  while (!existsSync(file));
  say({ kind: 'unblocked' })
}

/** The steps of a commit, with a death among them where one was asked for. */
function commitSteps(): readonly CommitStep[] {
  const { killAt } = place
  const steps = guarantee === 'at-least-once' ? AT_LEAST_ONCE : EXACTLY_ONCE
  if (killAt === undefined) return steps
  const at = steps.findLastIndex(({ name }) => name === killAt.step)
  if (at < 0) throw new RangeError(`a commit has no step ${killAt.step}`)
  const kill: CommitStep = {
    name: 'kill',
    run: async ({ progress }) => {
      if (!progress.offsets.every(({ offset }) => offset >= killAt.offset)) return
      process.kill(process.pid, 'SIGKILL')
      // The signal is on its way; no step may come before it.
      await new Promise(() => {})
    },
  }
  return steps.toSpliced(at + 1, 0, kill)
}

function say(event: Readonly<Record<string, unknown>>): void {
  process.stdout.write(eventLine({ at: clock.now(), ...event }))
}
