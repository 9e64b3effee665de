/** The texts of --help, made from the declarations of commands. */
import { COMMON_OPTIONS, type Command } from './command.ts'
import type { Option } from './options.ts'

/** One line of the overview. */
export interface HelpEntry {
  readonly name: string
  readonly summary: string
}

/** The help of the program. */
export function programHelp(version: string, commands: readonly HelpEntry[]): string {
  const rows = commands.map(({ name, summary }) => [name, summary] as const)
  return [
    `millrace ${version}: exactly-once stream processing, from one machine to a Kafka cluster`,
    '',
    'Usage: millrace <command> [options]',
    '',
    'Commands:',
    ...columns(rows),
    '',
    'millrace <command> --help shows its options and examples; millrace --version the version.',
    '',
  ].join('\n')
}

/** The help of one command. */
export function commandHelp({ declaration }: Command): string {
  const { name, summary, details, operands, options, examples } = declaration
  const usage = ['millrace', name, operands.usage, '[options]'].filter((word) => word !== '')
  const all = Object.entries({ ...options, ...COMMON_OPTIONS })
  return [
    `millrace ${name} ${summary}`,
    '',
    `Usage: ${usage.join(' ')}`,
    ...(details === undefined ? [] : ['', details]),
    '',
    'Options:',
    ...columns(all.map(([option, { placeholder, help }]) => [shown(option, placeholder), help])),
    '',
    'Examples:',
    ...examples.flatMap(({ line, says }) => [`  # ${says}`, `  ${line}`]),
    '',
  ].join('\n')
}

function shown(name: string, placeholder: Option<unknown>['placeholder']): string {
  return placeholder === undefined ? `--${name}` : `--${name} ${placeholder}`
}

function columns(rows: readonly (readonly [left: string, right: string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`)
}
