/**
 * What a command is: a declaration from which parsing, --help and types follow, and a function. A new
 * command is one file that calls `defineCommand` and one line in main.ts.
 */
import type { Clock } from '../model/clock.ts'
import { parseArguments } from './arguments.ts'
import type { ExitCode } from './exit-codes.ts'
import { flag, type OptionValues, type Options } from './options.ts'
import type { Output } from './output.ts'
import { usageError } from './usage-error.ts'

/** What a command takes beside its options, as --help shows it: `<file…>`. */
export interface Operands {
  readonly usage: string
  readonly least: number
  readonly most: number
}

/** One line of the examples in --help. */
export interface Example {
  readonly line: string
  readonly says: string
}

/** The declaration of a command. */
export interface CommandDeclaration<O extends Options> {
  readonly name: string
  /** What it does, in one line that begins with a verb. */
  readonly summary: string
  /** More, for --help. */
  readonly details?: string
  readonly operands: Operands
  readonly options: O
  readonly examples: readonly Example[]
  /** Goes on until it is stopped, so that a signal is its ordinary end (exit code 0). */
  readonly endless?: boolean
  /** Does the work. Answers an exit code where it is not 0. */
  run(call: CommandCall<O>): Promise<ExitCode | undefined>
}

/** Where and how a command runs. */
export interface CommandContext {
  readonly output: Output
  readonly clock: Clock
  /** Aborts when the process is asked to stop. */
  readonly signal: AbortSignal
}

/** One run of a command. */
export interface CommandCall<O extends Options> extends CommandContext {
  readonly operands: readonly string[]
  readonly options: OptionValues<O>
}

/** A command as main.ts and help.ts see it. */
export interface Command {
  readonly declaration: CommandDeclaration<Options>
  /** Checks the arguments and gives back what runs. Throws MILLRACE_USAGE. */
  prepare(args: readonly string[]): (context: CommandContext) => Promise<ExitCode | undefined>
}

/** Options that every command has; main.ts reads them before a command is known. */
export const COMMON_OPTIONS = {
  json: flag('write JSON lines to standard output'),
  debug: flag('show the stack of an error'),
  help: flag('show this help'),
}

/** A command from its declaration. */
export function defineCommand<const O extends Options>(
  declaration: CommandDeclaration<O>,
): Command {
  const known: Options = { ...declaration.options, ...COMMON_OPTIONS }
  return {
    declaration,
    prepare: (args) => {
      const { operands, given } = parseArguments(args, known)
      checkOperands(declaration, operands)
      const values = Object.entries(declaration.options).map(([name, option]) => [
        name,
        option.read(name, given.get(name)) as unknown,
      ])
      // The one place where texts become the values that the declaration promises.
      const options = Object.fromEntries(values) as OptionValues<O>
      return (context) => declaration.run({ ...context, operands, options })
    },
  }
}

function checkOperands(
  { name, operands }: CommandDeclaration<Options>,
  given: readonly string[],
): void {
  const extra = given[operands.most]
  if (extra !== undefined) throw usageError(`${name} does not know what to do with '${extra}'`)
  if (given.length < operands.least) throw usageError(`${name} needs ${operands.usage}`)
}
