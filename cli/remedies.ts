/**
 * What helps on the command line. Messages are written for programs that use the library and name its
 * options; who runs a file with `millrace run` has others, which are said here, by error code.
 */
import { isMillraceError } from '../model/errors.ts'
import { TopologyError } from '../topology/problem.ts'

const SET_ASIDE =
  '--on-error skip leaves such records out, --on-error dead-letter --dead-letters NAME keeps them beside.'
const OTHER_NAME = 'the application id is --application NAME.'

/** By error code, or by the code of a topology's problem: the options of `run`, in a sentence. */
export const REMEDIES: Readonly<Record<string, string>> = {
  MILLRACE_GROUP_OTHER_TOPOLOGY: OTHER_NAME,
  MILLRACE_LIMITS_CONFLICT: 'give a --commit-interval of at most 1m.',
  MILLRACE_NO_DEAD_LETTER_TOPIC: 'name the topic with --dead-letters NAME.',
  MILLRACE_OTHER_MODE: 'when its processes are stopped, start with --adopt.',
  MILLRACE_PARTITIONS_DIFFER: OTHER_NAME,
  MILLRACE_PROCESSING_FAILED: SET_ASIDE,
  MILLRACE_RECORD_UNREADABLE: SET_ASIDE,
  MILLRACE_STATE_FOREIGN: 'these are --state DIR and --application NAME.',
  MILLRACE_TOPOLOGY_TOPIC_MISSING:
    '--create-topics makes what is missing; `millrace topics PIPELINE` shows it first, and makes it with --create.',
}

/** What `command` offers against an error; undefined where its message says all. */
export function remedyOf(error: Error, command: string | undefined): string | undefined {
  if (command !== 'run' || !isMillraceError(error)) return undefined
  const codes = error instanceof TopologyError ? error.problems.map(({ code }) => code) : []
  const found = [error.code, ...codes].find((code) => code in REMEDIES)
  return found === undefined ? undefined : `With millrace run: ${REMEDIES[found]}`
}
