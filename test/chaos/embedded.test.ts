import { expect, test } from 'vitest'
import { systemClock } from '../../runtime/system-clock.ts'
import { drawnSeed } from '../seed.ts'
import { describeReport } from './describe-report.ts'
import { runChaos } from './run.ts'

const seed = drawnSeed()
const seconds = Number(process.env['MILLRACE_CHAOS_SECONDS'] ?? 4)

test(
  `three processes over an embedded log neither lose nor double a record in ${seconds} s of kills and halts (seed ${seed})`,
  { timeout: 300_000 + seconds * 1_000 },
  async () => {
    const said: string[] = []
    const report = await runChaos({
      log: 'embedded',
      seed,
      troubleMs: seconds * 1_000,
      processes: 3,
      standbys: 0,
      guarantee: 'exactly-once',
      clock: systemClock(),
      onProgress: (line) => said.push(line),
    })
    const { violations, problems, cycles } = report
    const story = [...said, describeReport(report)].join('\n')
    expect({ violations, problems }, story).toEqual({ violations: [], problems: [] })
    expect(cycles, story).toBeGreaterThan(0)
  },
)
