/**
 * Variables behind our prefix that nobody reads. One that is dropped in silence costs an hour: a
 * command then works on another log than was meant, or with all partitions in place of one.
 *
 * The prefix is not ours alone: a service of Kubernetes called `millrace`, scripts and pipelines have
 * variables behind it too, and what a user does not know of must not stop a start. So only a single
 * edit from a name that the command reads is refused, for that is a slip. What may be one is noted:
 * a name that is near to such a name or begins alike, and one that spells an option which has no
 * variable. About all others nothing is said, those of our own tests (MILLRACE_TEST_BROKERS,
 * MILLRACE_SEED) among them.
 * Names behind MILLRACE_KAFKA_ are settings, which transport/kafka/options/setting-names.ts judges.
 */
import { isOneEditAway, nearest } from '../model/nearest.ts'
import { variablesOf, type Environment } from './environment.ts'
import type { Options } from './options.ts'
import { usageError } from './usage-error.ts'

const OURS = /^MILLRACE_(?=.)/
const KAFKA = 'KAFKA'
/** In two letters one edit says nothing. */
const SHORTEST_SLIP = 4
/** What Kubernetes sets for every service of a namespace, by the service's name. Source: its page on environment variables of services. */
const OF_A_SERVICE = /^(?:.*_)?(?:SERVICE_(?:HOST|PORT(?:_.+)?)|PORT(?:_\d+_.+)?)$/

/** What a command was called with. */
export interface CalledWith {
  readonly options: Options
  readonly args: readonly string[]
}

/** Sentences about variables that may have been meant for a command. Throws MILLRACE_USAGE for one that can only be a slip. */
export function environmentNotes(environment: Environment, called: CalledWith): readonly string[] {
  const known = namesReadBy(called.options)
  if (known.length === 0) return []
  return Object.entries(environment).flatMap(([variable, value]) => {
    const [prefix] = OURS.exec(variable) ?? []
    if (prefix === undefined || value === undefined || value === '') return []
    const name = variable.slice(prefix.length)
    if (known.includes(name) || isOthers(name)) return []
    return noteOn({ prefix, name }, known, called) ?? []
  })
}

/** The names, without the prefix, that a command with these options reads. */
function namesReadBy(options: Options): readonly string[] {
  if (!('brokers' in options)) return []
  const names = Object.keys(variablesOf({})).map((variable) => variable.replace(OURS, ''))
  // Shares are those of `run`: other commands have a --partition that is one partition of a topic.
  return 'of' in options ? names : names.filter((name) => name !== 'PARTITION' && name !== 'OF')
}

function isOthers(name: string): boolean {
  return name.startsWith(`${KAFKA}_`) || OF_A_SERVICE.test(name)
}

function noteOn(
  { prefix, name }: { readonly prefix: string; readonly name: string },
  known: readonly string[],
  { options, args }: CalledWith,
): string | undefined {
  const option = name.toLowerCase().replaceAll('_', '-')
  const isOption = option in options
  const slip = slipOf(name, known)
  if (slip !== undefined && !isOption) {
    throw usageError(
      `${prefix}${name} is set in the environment, and no such variable is read: set ${prefix}${slip} in its place, or unset it`,
    )
  }
  const isGiven = args.some((arg) => arg === `--${option}` || arg.startsWith(`--${option}=`))
  const meant = slip ?? perhapsMeant(name, known)
  const offers = [
    ...(meant === undefined ? [] : [`${prefix}${meant}`]),
    ...(isOption && !isGiven ? [`--${option}`] : []),
  ]
  if (offers.length === 0) return undefined
  return `${prefix}${name} is set in the environment and is not read: did you mean ${offers.join(' or ')}?`
}

/** The name that was certainly meant: one edit away, or one of Kafka's settings with its first word one edit away. */
function slipOf(name: string, known: readonly string[]): string | undefined {
  const [word = ''] = name.split('_', 1)
  if (word.length < name.length && isOneEditAway(word, KAFKA)) {
    return `${KAFKA}${name.slice(word.length)}`
  }
  return known.find((each) => each.length >= SHORTEST_SLIP && isOneEditAway(name, each))
}

/** The name that was perhaps meant: one that begins or goes on alike (REGISTRY_PASS, REGISTRY_URL), or a near one. */
function perhapsMeant(name: string, known: readonly string[]): string | undefined {
  return (
    known.find((each) => name.length >= SHORTEST_SLIP && each.startsWith(name)) ??
    known.find((each) => name.startsWith(`${each}_`)) ??
    nearest(name, known)
  )
}
