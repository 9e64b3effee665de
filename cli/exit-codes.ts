/**
 * What a process tells its caller when it ends. The numbers are public: docs/operations.md lists
 * them, and they change as seldom as error codes do.
 */
import { isMillraceError } from '../model/errors.ts'

/** The exit codes of every command. A signal ends with 128 + its number, as shells expect. */
export const EXIT = {
  /** Done, or an endless command that was asked to stop. */
  done: 0,
  /** A mistake in millrace itself. */
  unexpected: 1,
  /** The command line cannot be understood. */
  usage: 2,
  /** A file or a pipeline that was given cannot be used. */
  input: 3,
  /** Another process took over the same work. */
  fenced: 4,
  /** Something outside is needed and not there: a lock, a port, a disk, ffmpeg, the annotator. */
  unavailable: 5,
  /** A record could not be processed, and the policy is to stop. */
  failed: 6,
  /** The command ran, and what it checked is wrong. */
  checkFailed: 7,
  /** Node.js is too old. Used by bin.ts, which imports nothing. */
  nodeTooOld: 8,
} as const

/** One of the numbers above, or 128 + a signal's number. */
export type ExitCode = number

/** Which error codes end with which exit code; the first rule that fits counts. What fits none is `failed`. */
export const EXIT_RULES: readonly (readonly [codes: RegExp, exit: ExitCode])[] = [
  [/^MILLRACE_(USAGE|REGISTRY_MISSING)$/, EXIT.usage],
  [/^MILLRACE_(PIPELINE_.*|TOPOLOGY_INVALID|TOPIC_MISSING|UNKNOWN_TOPIC)$/, EXIT.input],
  [/^MILLRACE_(FILE_.*|VIDEO_.*|CHUNK_SIZE_INVALID|CHUNK_TOO_LARGE)$/, EXIT.input],
  [/^MILLRACE_(NOT_A_VIDEO|NO_VIDEO_TRACK|NO_SUCH_PARTITION|PARTITIONS_DIFFER)$/, EXIT.input],
  [/^MILLRACE_KAFKA_(MISCONFIGURED|TLS|AUTHENTICATION|NOT_AUTHORIZED)$/, EXIT.input],
  [/^MILLRACE_KAFKA_(UNSUPPORTED_VERSION|BAD_RESPONSE)$/, EXIT.input],
  [/^MILLRACE_REGISTRY_(MISCONFIGURED|UNAUTHORIZED|INCOMPATIBLE|REFUSED)$/, EXIT.input],
  [/^MILLRACE_GROUP_(PROTOCOL|OTHER_TOPOLOGY)$/, EXIT.input],
  [/^MILLRACE_(ILLEGAL_NAME|LIMITS_CONFLICT|NO_DEAD_LETTER_TOPIC|OTHER_MODE)$/, EXIT.input],
  [/^MILLRACE_ANNOTATOR_(DENIED|MISCONFIGURED)$/, EXIT.input],
  [/^MILLRACE_(PRODUCER_FENCED|GROUP_INSTANCE_FENCED|INGEST_TAKEN_OVER)$/, EXIT.fenced],
  [/^MILLRACE_(LOG_IN_USE|LOG_FOLDER|LOG_IO|LOG_MISSING|LOG_VERSION|NOT_A_LOG)$/, EXIT.unavailable],
  [/^MILLRACE_LOG_(UNREACHABLE|PROTOCOL)$/, EXIT.unavailable],
  [/^MILLRACE_(KAFKA_(UNREACHABLE|TIMED_OUT)|REGISTRY_UNREACHABLE)$/, EXIT.unavailable],
  [/^MILLRACE_STATE_(IN_USE|FOREIGN|UNWRITABLE|FULL)$/, EXIT.unavailable],
  [/^MILLRACE_(GROUP_HAS_MEMBERS|OFFSETS_PENDING|PARTITIONS_ADDED)$/, EXIT.unavailable],
  [/^MILLRACE_(DISK_FULL|REGISTRY_UNWRITABLE|SYSTEM|PORT_IN_USE)$/, EXIT.unavailable],
  [/^MILLRACE_(FFMPEG_MISSING|ANNOTATOR_UNAVAILABLE)$/, EXIT.unavailable],
]

/** The exit code of a process that ended with `error`. */
export function exitCodeOf(error: unknown): ExitCode {
  if (!isMillraceError(error)) return EXIT.unexpected
  // The step that gave up on it stands in front of what was not there, or would not let it in.
  if (isMillraceError(error, 'MILLRACE_ENRICH_FAILED') && isMillraceError(error.cause)) {
    const exit = exitCodeOf(error.cause)
    const isOfService = error.cause.code.startsWith('MILLRACE_ANNOTATOR_')
    if (exit === EXIT.unavailable || (exit === EXIT.input && isOfService)) return exit
  }
  const rule = EXIT_RULES.find(([codes]) => codes.test(error.code))
  return rule?.[1] ?? EXIT.failed
}
