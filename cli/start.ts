/** The edge between the program and its process: arguments, streams, signals, the exit code. */
import type { Clock } from '../model/clock.ts'
import { asError } from '../model/errors.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { EXIT } from './exit-codes.ts'
import { describeFailure, rootFailure } from './failure.ts'
import { listenForSignals } from './interruption.ts'
import { main } from './main.ts'

/** Runs the command line of this process and ends the process with its exit code. */
export async function start(): Promise<void> {
  const args = process.argv.slice(2)
  const style = {
    json: args.includes('--json'),
    debug: args.includes('--debug'),
    command: undefined,
  }
  const clock = systemClock({
    stillLine: (text) =>
      style.json ? JSON.stringify({ event: 'note', text }) : `millrace: ${text}`,
  })
  process.once('uncaughtException', (error) => {
    process.stderr.write(describeFailure(rootFailure(error), style))
    process.exit(EXIT.unexpected)
  })
  using interruption = listenForSignals({
    clock,
    onFirst: () => {
      if (!style.json) process.stderr.write('millrace: stopping; a second signal stops at once\n')
    },
    endNow: (exitCode, why) => {
      if (!style.json) process.stderr.write(`millrace: ${why}\n`)
      process.exit(exitCode)
    },
  })
  for (const stream of [process.stdout, process.stderr]) {
    // `millrace tail … | head` closes the pipe when it has enough: that is no failure.
    stream.on('error', (error) => {
      if ((asError(error) as NodeJS.ErrnoException).code === 'EPIPE') interruption.stop(EXIT.done)
      else process.exit(EXIT.unavailable)
    })
  }
  const { stdout, stderr } = process
  using _awake = stayAwake(clock)
  const exitCode = await main({ args, stdout, stderr, clock, interruption })
  // Code of the user may have left something open; what was written still has to leave the process.
  stdout.write('', () => {
    stderr.write('', () => process.exit(exitCode))
  })
}

/** Any time will do that a timer can wait. */
const AWAKE_MS = 24 * 3600 * 1000

/** Keeps the process alive until it is disposed: Node ends one that only waits for promises, and a command may wait for the next record. */
function stayAwake(clock: Clock): Disposable {
  let timer = clock.timer(AWAKE_MS, again)
  function again(): void {
    timer = clock.timer(AWAKE_MS, again)
  }
  return { [Symbol.dispose]: () => timer.cancel() }
}
