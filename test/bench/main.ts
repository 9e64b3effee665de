/**
 * `npm run bench [-- case…]`: measures millrace on this machine. Figures depend on the machine and on
 * what else it does, so each case runs what it is compared with in the same rounds, and the load is
 * part of the report.
 */
import { availableParallelism, cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { parseBytes } from '../../cli/quantities.ts'
import { CASES } from './cases.ts'
import type { BenchCase, BenchSettings } from './bench-case.ts'
import { benchBroker } from './kafka/bench-broker.ts'
import { busiestOf, profilePath, profileText } from './profile.ts'
import { runRounds } from './rounds.ts'
import { summarize } from './summary.ts'
import { tableOf } from './table.ts'

const NAME_WIDTH = Math.max(...CASES.map(({ name }) => name.length)) + 2

const HELP = `npm run bench [-- case… [options]]

${CASES.map(({ name, summary }) => `  ${name.padEnd(NAME_WIDTH)}${summary}`).join('\n')}

  --size 512MiB      bytes of media in a run
  --records 1000000  small records in a run
  --repeat 3         rounds
  --only TEXT        of each case the variants whose name has the text, and the first
  --seconds 240      no round begins that would end later, after the first
  --quick            64MiB, 100000 records, one round
  --json             figures for a program
  --profile DIR      .cpuprofile files of the last round, and where their time went`

/** A process that takes longer than this hangs. */
const CHILD_DEADLINE_MS = 120_000

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    size: { type: 'string' },
    records: { type: 'string' },
    repeat: { type: 'string' },
    seconds: { type: 'string', default: '240' },
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    profile: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) {
  console.log(HELP)
} else {
  await bench(chosenCases(positionals))
}

async function bench(cases: readonly BenchCase[]): Promise<void> {
  const { quick, json, seconds, profile } = values
  const settings: BenchSettings = {
    sizeBytes: wholeNumber('--size', parseBytes(values.size ?? (quick ? '64MiB' : '512MiB'))),
    records: wholeNumber('--records', Number(values.records ?? (quick ? 100_000 : 1_000_000))),
  }
  const repeat = wholeNumber('--repeat', Number(values.repeat ?? (quick ? 1 : 3)))
  const startMs = performance.now()
  const endMs = startMs + 1_000 * wholeNumber('--seconds', Number(seconds))
  const report = []
  await using _broker = cases.some(({ needsBroker }) => needsBroker === true)
    ? await benchBroker()
    : undefined
  if (!json) console.log(machineText())
  for (const [index, benchCase] of cases.entries()) {
    // What is left is shared by the cases that are left, by how many variants they have.
    const left = cases.slice(index).reduce((sum, { variants }) => sum + variants.length, 0)
    const nowMs = performance.now()
    const readings = await runRounds(benchCase, settings, {
      repeat,
      endMs: nowMs + ((endMs - nowMs) * benchCase.variants.length) / left,
      childDeadlineMs: benchCase.childDeadlineMs ?? CHILD_DEADLINE_MS,
      profileFolder: profile,
      onRun: (variant, round) => showRun(`${benchCase.name}, round ${round}: ${variant}`),
    })
    const figures = summarize(benchCase, readings)
    const load = loadavg()[0]
    report.push({ case: benchCase.name, unit: benchCase.unit, load, figures })
    showRun('')
    if (json) continue
    console.log(`\n${benchCase.name}: ${benchCase.summary}`)
    console.log(`${tableOf(benchCase, figures)}\nload afterwards: ${load?.toFixed(1)}`)
    if (profile !== undefined) showProfiles(benchCase, profile)
  }
  if (json) console.log(JSON.stringify({ machine: machineText(), ...settings, cases: report }))
  else console.log(`\n${((performance.now() - startMs) / 1000).toFixed(0)} s in all`)
}

function showProfiles({ name, variants }: BenchCase, folder: string): void {
  for (const { name: variant } of variants) {
    const times = busiestOf(profilePath(folder, name, variant))
    if (times !== undefined) console.log(`\n${profileText(variant, times)}`)
  }
}

function chosenCases(names: readonly string[]): readonly BenchCase[] {
  for (const name of names) {
    if (!CASES.some((one) => isNamed(one, name))) wrong(`there is no case ${name}`)
  }
  const only = (name: string, at: number): boolean => at === 0 || name.includes(values.only)
  return CASES.filter((one) =>
    names.length === 0 ? one.needsBroker !== true : names.some((given) => isNamed(one, given)),
  ).map((one) => ({
    ...one,
    variants: one.variants.filter(({ name }, at) => only(name, at)),
  }))
}

/** By its whole name, or else by the first words of it: `kafka` is all that runs on a broker. */
function isNamed({ name }: BenchCase, given: string): boolean {
  const isWhole = CASES.some((one) => one.name === given)
  return isWhole ? name === given : name.startsWith(`${given}-`)
}

function wholeNumber(option: string, value: number | undefined): number {
  if (value !== undefined && Number.isSafeInteger(value) && value > 0) return value
  return wrong(`${option} takes a number above 0, or a size such as 256MiB`)
}

function wrong(message: string): never {
  console.error(`${message}.\n\n${HELP}`)
  process.exit(2)
}

function machineText(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor'
  const { arch, platform, version } = process
  const [load = 0] = loadavg()
  return `${availableParallelism()} x ${model}, ${platform} ${arch}, Node ${version}, load ${load.toFixed(1)}, ${new Date().toISOString().slice(0, 10)}`
}

/** What runs now, on a terminal. */
function showRun(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${text}`)
}
