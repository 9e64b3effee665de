/**
 * Which share of an application a process has: told by its command line, by the environment
 * (MILLRACE_PARTITION, MILLRACE_OF), or by the number at the end of its host's name. A StatefulSet of
 * Kubernetes numbers its pods so (`videos-0`, `videos-1`, …), so that one line serves all of them and
 * each runs one partition.
 */
import type { GroupAssignment, StaticAssignment } from '../runtime/assignment.ts'
import { variablesOf, type Environment } from './environment.ts'
import { given } from './given.ts'
import { count, flag, name, optional, units, type ValueKind } from './options.ts'
import { usageError } from './usage-error.ts'

/** `--partition`: numbers, or the word for the number in the host's name. */
type Share = readonly number[] | 'host'

const share: ValueKind<Share> = {
  placeholder: 'N',
  looksLike: `${units.looksLike}, or host`,
  parse: (given) => (given === 'host' ? 'host' : units.parse(given)),
}

/** The options that say which share a process has. */
export const shareOptions = {
  partition: optional(
    share,
    'the share of this process: 0, or 0-2, or 0,2, or host; otherwise all',
  ),
  of: optional(count, 'of how many shares; otherwise one for each partition'),
  group: flag('share the work with the other processes that run the pipeline so'),
  // Kafka takes for it what it takes for a topic's name (group.instance.id).
  instance: optional(name, 'with --group: a name under which a restart keeps its share'),
  standbys: optional(count, "with --group: copies of each task's state on other processes"),
}

/** The values of `shareOptions`. */
export interface ShareOptions {
  readonly partition: Share | undefined
  readonly of: number | undefined
  readonly group: boolean
  readonly instance: string | undefined
  readonly standbys: number | undefined
}

/** The share that is meant, on a host of that name. Throws MILLRACE_USAGE. */
export function assignmentOf(
  options: ShareOptions,
  { environment, hostName }: { readonly environment: Environment; readonly hostName: string },
): GroupAssignment | StaticAssignment {
  const { partition, of, group, instance, standbys } = options
  if (group) {
    if (partition === undefined && of === undefined) {
      return { kind: 'group', ...given({ instanceId: instance, standbys }) }
    }
    throw usageError('--group shares the partitions out by itself: leave --partition and --of out')
  }
  if (instance !== undefined || standbys !== undefined) {
    throw usageError('--instance and --standbys need --group')
  }
  const { MILLRACE_PARTITION, MILLRACE_OF } = variablesOf(environment)
  const chosen = partition ?? fromEnvironment({ MILLRACE_PARTITION }, share)
  const shares = of ?? fromEnvironment({ MILLRACE_OF }, count)
  const told = chosen === 'host' ? [ordinalOf(hostName)] : chosen
  return { kind: 'static', ...given({ units: told, of: shares }) }
}

/** The value of the one variable of `variables`; undefined where it is not set. */
function fromEnvironment<T>(
  variables: Readonly<Record<string, string | undefined>>,
  kind: ValueKind<T>,
): T | undefined {
  const [[name, text] = ['', undefined]] = Object.entries(variables)
  if (text === undefined) return undefined
  const value = kind.parse(text)
  if (value === undefined) throw usageError(`${name} takes ${kind.looksLike}, not '${text}'`)
  return value
}

/** The number at the end of `videos-3`, or of `videos-3.videos.default.svc`. */
function ordinalOf(hostName: string): number {
  const [, digits] = /^[^.]*-(\d{1,6})(?:\.|$)/.exec(hostName) ?? []
  if (digits !== undefined) return Number(digits)
  throw usageError(
    `--partition host takes the number at the end of the host's name, as in videos-0, and this host is '${hostName}': ` +
      'run it as a StatefulSet, or give --partition a number',
  )
}
