/**
 * Options with types: a command declares each once, and from that come its value's type, its line
 * in --help and the message for a value that does not fit.
 */
import { isTopicName, type Topic } from '../model/position.ts'
import { parseBytes, parseDurationMs } from './quantities.ts'
import { usageError } from './usage-error.ts'

/** One option of a command. */
export interface Option<T> {
  /** What stands for the value in --help; undefined for a flag, which has none. */
  readonly placeholder: string | undefined
  readonly help: string
  /** The value of the text given with it, or of undefined where the option was left out. */
  read(name: string, text: string | undefined): T
}

/** The options of a command, by their names without the dashes. */
// eslint-disable-next-line typescript/no-explicit-any -- options of any types, by name.
export type Options = Readonly<Record<string, Option<any>>>

/** The values of `O`, by the same names. */
export type OptionValues<O extends Options> = {
  readonly [Name in keyof O]: O[Name] extends Option<infer T> ? T : never
}

/** A kind of value: how it is shown, what it looks like, and how it is read. `parse` answers undefined for what does not fit. */
export interface ValueKind<T> {
  readonly placeholder: string
  readonly looksLike: string
  parse(text: string): T | undefined
}

/** Any text. */
export const text: ValueKind<string> = kind('TEXT', 'a text', (given) => given || undefined)

/** A name that a topic may have, or that topics may be named after. */
export const name: ValueKind<Topic> = kind(
  'NAME',
  "a name of 1 to 249 letters, digits, '.', '_' and '-'",
  (given) => (isTopicName(given) ? given : undefined),
)

/** The path of a folder. */
export const folder: ValueKind<string> = kind('DIR', 'a folder', (given) => given || undefined)

/** The path of a file. */
export const file: ValueKind<string> = kind('FILE', 'a file', (given) => given || undefined)

/** Bytes: `5MiB`, `64KiB`, `5000000`. */
export const size: ValueKind<number> = kind('SIZE', 'a size such as 64KiB or 5MiB', parseBytes)

/** Milliseconds: `250ms`, `10s`, `5m`. */
export const duration: ValueKind<number> = kind(
  'TIME',
  'a duration such as 500ms, 10s or 5m',
  parseDurationMs,
)

/** A whole number from 1. */
export const count: ValueKind<number> = kind('N', 'a whole number from 1', (given) => {
  return /^[1-9]\d{0,14}$/.test(given) ? Number(given) : undefined
})

/** A whole number from 0: partitions and offsets begin there. */
export const index: ValueKind<number> = kind('N', 'a whole number from 0', (given) => {
  return /^\d{1,15}$/.test(given) ? Number(given) : undefined
})

/** Numbers of partitions: `0`, `0-2`, `0,2`, in any mixture. */
export const units: ValueKind<readonly number[]> = kind(
  'N',
  'a partition such as 0, or several such as 0-2 or 0,2',
  (given) => {
    const parts = given.split(',').map((part) => /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(part))
    const numbers = new Set<number>()
    for (const part of parts) {
      if (part === null) return undefined
      const first = Number(part[1])
      const last = Number(part[2] ?? part[1])
      if (last < first) return undefined
      for (let number = first; number <= last; number += 1) numbers.add(number)
    }
    return [...numbers].sort((a, b) => a - b)
  },
)

/** A TCP port; 0 lets the system choose. */
export const port: ValueKind<number> = kind('PORT', 'a port from 0 to 65535', (given) => {
  return /^\d{1,5}$/.test(given) && Number(given) <= 65_535 ? Number(given) : undefined
})

/** One of a few words. */
export function oneOf<const W extends string>(...words: readonly W[]): ValueKind<W> {
  const looksLike = `one of ${words.join(', ')}`
  return kind('WORD', looksLike, (given) => words.find((word) => word === given))
}

/** An option without a value: true where it was given. */
export function flag(help: string): Option<boolean> {
  return { placeholder: undefined, help, read: (_, given) => given !== undefined }
}

/** An option that may be left out. */
export function optional<T>(of: ValueKind<T>, help: string): Option<T | undefined> {
  const read = (name: string, given: string | undefined): T | undefined =>
    given === undefined ? undefined : parseAs(of, name, given)
  return { placeholder: of.placeholder, help, read }
}

/** An option that has a value where it is left out, written as a user would. */
export function withDefault<T>(of: ValueKind<T>, otherwise: string, help: string): Option<T> {
  return {
    placeholder: of.placeholder,
    help: `${help} (default: ${otherwise})`,
    read: (name, given) => parseAs(of, name, given ?? otherwise),
  }
}

/** An option that must be given. */
export function required<T>(of: ValueKind<T>, help: string): Option<T> {
  return {
    placeholder: of.placeholder,
    help,
    read: (name, given) => {
      if (given === undefined) throw usageError(`--${name} ${of.placeholder} is needed: ${help}`)
      return parseAs(of, name, given)
    },
  }
}

function kind<T>(
  placeholder: string,
  looksLike: string,
  parse: (text: string) => T | undefined,
): ValueKind<T> {
  return { placeholder, looksLike, parse }
}

function parseAs<T>(of: ValueKind<T>, name: string, given: string): T {
  const value = of.parse(given)
  if (value === undefined) throw usageError(`--${name} takes ${of.looksLike}, not '${given}'`)
  return value
}
