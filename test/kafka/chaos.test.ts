import { expect, test } from 'vitest'
import { systemClock } from '../../runtime/system-clock.ts'
import { describeReport } from '../chaos/describe-report.ts'
import { runChaos } from '../chaos/run.ts'
import { drawnSeed } from '../seed.ts'

const seed = drawnSeed()
const minutes = Number(process.env['MILLRACE_CHAOS_MINUTES'] ?? 2)

test(
  `three processes over a broker neither lose nor double a record in ${minutes} minutes in which all four are killed (seed ${seed})`,
  { timeout: minutes * 60_000 + 480_000 },
  async () => {
    const report = await runChaos({
      log: 'kafka',
      seed,
      troubleMs: minutes * 60_000,
      processes: 3,
      standbys: 0,
      guarantee: 'exactly-once',
      clock: systemClock(),
      onProgress: (line) => console.log(line),
    })
    const { violations, problems, cycles } = report
    const story = describeReport(report)
    console.log(story)
    expect({ violations, problems }, story).toEqual({ violations: [], problems: [] })
    expect(cycles).toBeGreaterThan(minutes * 5)
  },
)
