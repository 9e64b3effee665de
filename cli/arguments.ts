/** The words of a command line, sorted into operands and options. node:util splits them; what is wrong is said here. */
import { parseArgs } from 'node:util'
import { nearest } from '../model/nearest.ts'
import type { Options } from './options.ts'
import { usageError } from './usage-error.ts'

/** A command line in parts. */
export interface ParsedArguments {
  readonly operands: readonly string[]
  /** The text of each option that was given; '' for a flag. */
  readonly given: ReadonlyMap<string, string>
}

const SHORT: Readonly<Record<string, string>> = { help: 'h' }

/** Sorts `args` by the options that are known. Throws MILLRACE_USAGE for an unknown option, one that came twice, and a value that is missing or too much. */
export function parseArguments(args: readonly string[], known: Options): ParsedArguments {
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      Object.entries(known).map(([name, option]) => [name, typeOf(name, option.placeholder)]),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  })
  const operands: string[] = []
  const given = new Map<string, string>()
  for (const token of tokens) {
    if (token.kind === 'positional') operands.push(token.value)
    if (token.kind !== 'option') continue
    const option = known[token.name]
    if (option === undefined) throw unknownOption(token.rawName, Object.keys(known))
    if (given.has(token.name)) throw usageError(`${token.rawName} was given twice: give it once`)
    given.set(token.name, valueOf(token, option.placeholder))
  }
  return { operands, given }
}

interface OptionToken {
  readonly rawName: string
  readonly value: string | undefined
  readonly inlineValue: boolean | undefined
}

function typeOf(
  name: string,
  placeholder: string | undefined,
): { type: 'string' | 'boolean'; short?: string } {
  const type = placeholder === undefined ? 'boolean' : 'string'
  const short = SHORT[name]
  return short === undefined ? { type } : { type, short }
}

function valueOf(
  { rawName, value, inlineValue }: OptionToken,
  placeholder: string | undefined,
): string {
  if (placeholder === undefined) {
    if (value !== undefined) throw usageError(`${rawName} takes no value: leave out '=${value}'`)
    return ''
  }
  // `--chunk --json` is a forgotten value; `--chunk=-x` is a strange one, and for its kind to judge.
  const forgotten =
    value === undefined || (inlineValue !== true && value.startsWith('-') && value !== '-')
  if (forgotten) throw usageError(`${rawName} needs a value: ${rawName} ${placeholder}`)
  return value
}

function unknownOption(rawName: string, names: readonly string[]): Error {
  const meant = nearest(rawName.replace(/^-+/, ''), names)
  const hint = meant === undefined ? '' : `: did you mean --${meant}?`
  return usageError(`there is no option ${rawName} here${hint}`)
}
