/** The command line: the table of commands, and the way from arguments to an exit code. */
import { readFileSync } from 'node:fs'
import type { Clock } from '../model/clock.ts'
import { nearest } from '../model/nearest.ts'
import type { Command } from './command.ts'
import { environmentNotes } from './environment-slips.ts'
import { EXIT, exitCodeOf, type ExitCode } from './exit-codes.ts'
import { describeFailure, rootFailure } from './failure.ts'
import { commandHelp, programHelp } from './help.ts'
import type { Interruption } from './interruption.ts'
import { openOutput } from './output.ts'
import { usageError } from './usage-error.ts'

/** One command of the table. What it needs is loaded only when it is called. */
interface CommandEntry {
  readonly name: string
  readonly summary: string
  load(): Promise<Command>
}

const COMMANDS: readonly CommandEntry[] = [
  entry(
    'demo',
    'runs the video pipeline on a clip it makes, or on your own files',
    async () => (await import('./demo.ts')).demoCommand,
  ),
  entry(
    'ingest',
    'puts videos into the log in chunks',
    async () => (await import('./ingest.ts')).ingestCommand,
  ),
  entry(
    'send',
    'puts lines of standard input into a topic',
    async () => (await import('./send.ts')).sendCommand,
  ),
  entry('run', 'runs a pipeline', async () => (await import('./run.ts')).runCommand),
  entry(
    'reset',
    'makes a pipeline start anew',
    async () => (await import('./reset.ts')).resetCommand,
  ),
  entry(
    'describe',
    'shows the steps of a pipeline',
    async () => (await import('./describe.ts')).describeCommand,
  ),
  entry(
    'topics',
    'shows the topics that a pipeline needs, and makes those that are missing',
    async () => (await import('./topics.ts')).topicsCommand,
  ),
  entry(
    'tail',
    'shows the records of a topic',
    async () => (await import('./tail.ts')).tailCommand,
  ),
  entry(
    'annotator',
    "serves the local annotator behind Google's protocol",
    async () => (await import('./annotator.ts')).annotatorCommand,
  ),
]

/** What a run of the program is given. */
export interface Invocation {
  readonly args: readonly string[]
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
  readonly clock: Clock
  readonly interruption: Interruption
}

/** Runs one command line to its end and answers the exit code. Does not reject: what goes wrong is written to standard error. */
export async function main(invocation: Invocation): Promise<ExitCode> {
  const { args, stderr, interruption } = invocation
  const [name] = args
  try {
    return await dispatch(invocation)
  } catch (thrown) {
    const error = rootFailure(thrown)
    const stopped = interruption.exitCode()
    if (stopped !== undefined && isInterruption(error, interruption)) return stopped
    const known = COMMANDS.some((command) => command.name === name)
    const style = { json: args.includes('--json'), debug: args.includes('--debug') }
    stderr.write(describeFailure(error, { ...style, command: known ? name : undefined }))
    return exitCodeOf(error)
  }
}

async function dispatch(invocation: Invocation): Promise<ExitCode> {
  const { args, stdout, stderr } = invocation
  const [name, ...rest] = args
  if (name === undefined) {
    stderr.write(overview())
    return EXIT.usage
  }
  if (name === '--version' || name === '-V') {
    stdout.write(`${version()}\n`)
    return EXIT.done
  }
  const asked = name === 'help' ? rest[0] : name
  if (asked === undefined || asked === '--help' || asked === '-h') {
    stdout.write(overview())
    return EXIT.done
  }
  const command = await find(asked).load()
  if (name === 'help' || asksForHelp(rest)) {
    stdout.write(commandHelp(command))
    return EXIT.done
  }
  return run(command, rest, invocation)
}

async function run(
  command: Command,
  args: readonly string[],
  invocation: Invocation,
): Promise<ExitCode> {
  const { stdout, stderr, clock, interruption } = invocation
  const start = command.prepare(args)
  const output = openOutput({ stdout, stderr, clock, json: args.includes('--json') })
  try {
    const { options } = command.declaration
    for (const note of environmentNotes(process.env, { options, args })) output.note(note)
    return (await start({ output, clock, signal: interruption.signal })) ?? EXIT.done
  } catch (error) {
    // Being stopped is how an endless command ends.
    const stopped = interruption.exitCode() !== undefined && isInterruption(error, interruption)
    if (stopped && command.declaration.endless === true) return EXIT.done
    throw error
  } finally {
    output.close()
  }
}

function isInterruption(error: unknown, { signal }: Interruption): boolean {
  return (
    signal.aborted &&
    (error === signal.reason || (error instanceof Error && error.name === 'AbortError'))
  )
}

/** Before `--`, behind which everything is an operand. */
function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--')
  const before = end === -1 ? args : args.slice(0, end)
  return before.includes('--help') || before.includes('-h')
}

function find(name: string): CommandEntry {
  const found = COMMANDS.find((command) => command.name === name)
  if (found !== undefined) return found
  const meant = nearest(
    name,
    COMMANDS.map((command) => command.name),
  )
  throw usageError(
    `there is no command '${name}'${meant === undefined ? '' : `: did you mean ${meant}?`}`,
  )
}

function overview(): string {
  return programHelp(version(), COMMANDS)
}

function version(): string {
  // The file stands one folder up from cli/, and one further up from dist/cli/.
  for (const path of ['../package.json', '../../package.json']) {
    const about = readIfThere(new URL(path, import.meta.url))
    if (about !== undefined) return (JSON.parse(about) as { version: string }).version
  }
  return 'unknown'
}

function readIfThere(path: URL): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function entry(name: string, summary: string, load: () => Promise<Command>): CommandEntry {
  return { name, summary, load }
}
