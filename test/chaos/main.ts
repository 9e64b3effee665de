/** `npm run chaos`: processes of a group killed, halted and started again, and what came out verified. */
import { inspect, parseArgs } from 'node:util'
import { systemClock } from '../../runtime/system-clock.ts'
import type { LogKind } from './place.ts'
import { describeReport } from './describe-report.ts'
import { runChaos } from './run.ts'

const HELP = `npm run chaos -- [options]

Runs a group of processes over a log, feeds it steadily, and kills, halts, stops and starts the
processes and the broker. Then compares every output with the inputs. Exit code 1 where a record is
lost, doubled or out of order, or where a process ended that nobody had ended.

  --minutes N        how long there is trouble (default 2)
  --log LOG          embedded or kafka (default embedded)
  --brokers A,B      a cluster that is there already, and that is left in peace; without it a node
                     of Kafka 4.1 is started, which is killed, halted and stopped, too
  --processes N      processes of the group (default 3)
  --standbys N       copies of each task's state (default 0)
  --guarantee G      exactly-once (default) or at-least-once, which shows what violations look like
  --seed S           of the troubles (default: a random one, which is printed)
  --help             this text`

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '2' },
    log: { type: 'string', default: 'embedded' },
    brokers: { type: 'string' },
    processes: { type: 'string', default: '3' },
    standbys: { type: 'string', default: '0' },
    guarantee: { type: 'string', default: 'exactly-once' },
    seed: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) console.log(HELP)
else {
  await run().catch((error: unknown) => {
    // What an error suppressed is shown as well.
    console.log(inspect(error, { depth: 6 }))
    process.exitCode = 1
  })
}

async function run(): Promise<void> {
  const clock = systemClock()
  const seed = Number(values.seed ?? Math.floor(clock.random() * 2 ** 31))
  const brokers = values.brokers?.split(',')
  console.log(`${values.minutes} minutes of trouble on ${values.log}, seed ${seed}`)
  const report = await runChaos({
    log: asLogKind(values.log),
    seed,
    troubleMs: Number(values.minutes) * 60_000,
    processes: Number(values.processes),
    standbys: Number(values.standbys),
    guarantee: values.guarantee === 'at-least-once' ? 'at-least-once' : 'exactly-once',
    ...(brokers === undefined ? {} : { brokers }),
    clock,
    onProgress: (line) => console.log(line),
  })
  console.log(describeReport(report))
  if (report.violations.length > 0 || report.problems.length > 0) process.exitCode = 1
}

function asLogKind(text: string): LogKind {
  if (text === 'embedded' || text === 'kafka') return text
  throw new TypeError(`--log takes embedded or kafka, and not ${text}`)
}
