/** What an app is started with, with the name and the default of every limit. */
import type { Clock } from '../model/clock.ts'
import { MillraceError } from '../model/errors.ts'
import type { Registry } from '../serdes/registry.ts'
import type { StateHome } from '../state/home.ts'
import type { Transport } from '../transport/transport.ts'
import type { GroupAssignment, StaticAssignment } from './assignment.ts'
import type { CommitStep } from './commit.ts'
import type { FailurePolicies } from './failure.ts'
import type { ReleaseStep } from './release.ts'
import type { StartStep } from './start.ts'

/** exactly-once commits outputs, state and offsets in one transaction; at-least-once may repeat outputs after a failure. */
export type Guarantee = 'exactly-once' | 'at-least-once'

/** Options of `streams`. */
export interface StreamsOptions {
  /** The name under which offsets, transactional ids, internal topics and state are kept. Default: the topology's name. */
  readonly application?: string
  readonly transport: Transport
  readonly registry: Registry
  /** Where LevelDB keeps the state: a folder, or a function that opens what a commit unit keeps (for tests). */
  readonly state: StateLocation
  readonly clock: Clock
  /** Which tasks are this process's: told, or agreed on in a group. Default: all, told. */
  readonly assignment?: StaticAssignment | GroupAssignment
  /** Takes over offsets that were committed in the other mode, after fencing who wrote them. Default false: that is refused. */
  readonly adopt?: boolean
  /** Default exactly-once. */
  readonly guarantee?: Guarantee
  /** Stops the app cleanly, as `close` does. */
  readonly signal?: AbortSignal
  readonly limits?: Partial<StreamsLimits>
  readonly failures?: Partial<FailurePolicies>
  /** Receives records that cannot be processed, where a policy says so. Created with one partition where it does not exist. One that the app itself reads is refused. */
  readonly deadLetterTopic?: string
  /** Told what happens: state changes, rewinds, restores, dropped records. Default: nobody. */
  readonly onEvent?: (event: StreamsEvent) => void
  readonly steps?: UnitSteps
}

/** For tests that plant a bug: other steps than those of runtime/commit.ts, runtime/start.ts and runtime/release.ts. */
export interface UnitSteps {
  readonly commit?: readonly CommitStep[]
  readonly start?: readonly StartStep[]
  readonly release?: readonly ReleaseStep[]
}

/** Where a task's state lies. */
export type StateLocation =
  | { readonly kind: 'folder'; readonly folder: string }
  | { readonly kind: 'given'; readonly open: (unit: string) => Promise<StateHome> }

/** Every bound of the runtime. Times are milliseconds, sizes bytes. */
export interface StreamsLimits {
  /** How often a unit commits; under exactly-once at most `transactionTimeoutMs`. Default 100 under exactly-once, 30,000 otherwise. */
  readonly commitIntervalMs: number
  /** A commit begins early when this many bytes of outputs and state wait for one. Default 16 MiB. */
  readonly commitBytes: number
  /** Outputs of the next commit that may wait for the one on its way, and as much of state that is written for it. Default 16 MiB. */
  readonly heldBytes: number
  /** How long an unknown commit outcome is asked for before the unit starts over. Default 30,000. */
  readonly commitRetryMs: number
  /** An open transaction older than this is aborted by the log. Default 60,000. */
  readonly transactionTimeoutMs: number
  /** Offsets are committed anew after this long without a record, for logs forget old ones. Default 12 hours. */
  readonly recommitMs: number
  /** Shortest time between two deletions of what was read of repartition topics. Default 30,000. */
  readonly repartitionPurgeMs: number
  /** Bytes fetched ahead, per unit. Default 16 MiB. */
  readonly prefetchBytes: number
  /** Bytes of values kept for the references that stand for them, per process. Default 32 MiB. */
  readonly payloadBytes: number
  /** Longest time a committed write waits to be written to LevelDB. Default 2,000. */
  readonly flushIntervalMs: number
  /** Committed bytes that start a write to LevelDB earlier. Default 16 MiB. */
  readonly flushBytes: number
  /** Bytes of a replay that a task may have in memory when it begins, to be written to LevelDB later; a longer replay is written first. Default 64 MiB. */
  readonly replayBytes: number
  /** Bytes of state kept in memory for reading, per task. Default 16 MiB. */
  readonly stateCacheBytes: number
  /**
   * How long a task with several inputs waits for a record of an empty one before it takes one of
   * another: Kafka Streams' `max.task.idle.ms`. 0 (the default) waits for records that are known to be
   * on the log, -1 for none.
   */
  readonly maxTaskIdleMs: number
  /** State of tasks that this process does not run any more is removed after this long: Kafka's `state.cleanup.delay.ms`. Default 10 minutes. */
  readonly stateCleanupDelayMs: number
  /** How long the loop runs before others have a turn. Default 5. */
  readonly sliceMs: number
  /** Records processed before the time is looked at. Default 256. */
  readonly sliceRecords: number
  /** How long a unit may fail to make progress (rewinds and restarts), from its first failure on, before the app stops. Default 5 minutes. */
  readonly unitTimeoutMs: number
  /** Wait before a unit that failed starts over; doubles up to 30 times this. Default 100. */
  readonly restartBackoffMs: number
  /** How long a clean stop may take before the app stops without a last commit. Default 30,000. */
  readonly closeDeadlineMs: number
  /** How long offsets of an open transaction of a predecessor are waited for. Default 70,000: longer than a transaction lives. */
  readonly offsetsPendingMs: number
  /** In a group: a process that was not heard of for this long is out. Default 45,000. */
  readonly sessionTimeoutMs: number
  /** In a group: how long the others wait for a process to give up tasks and join again. Default 60,000. */
  readonly rebalanceTimeoutMs: number
  /** In a group: time between two signs of life. Default 3,000. */
  readonly heartbeatIntervalMs: number
  /** How often it is looked whether a source has got more partitions. Default 60,000. */
  readonly topicCheckIntervalMs: number
  /** How often a standby task looks whether its changelogs have gone on. Default 500. */
  readonly standbyIntervalMs: number
}

const DEFAULT_LIMITS: StreamsLimits = {
  commitIntervalMs: 100,
  commitBytes: 16 * 1024 * 1024,
  heldBytes: 16 * 1024 * 1024,
  commitRetryMs: 30_000,
  transactionTimeoutMs: 60_000,
  recommitMs: 12 * 60 * 60 * 1000,
  repartitionPurgeMs: 30_000,
  prefetchBytes: 16 * 1024 * 1024,
  payloadBytes: 32 * 1024 * 1024,
  flushIntervalMs: 2_000,
  flushBytes: 16 * 1024 * 1024,
  replayBytes: 64 * 1024 * 1024,
  stateCacheBytes: 16 * 1024 * 1024,
  maxTaskIdleMs: 0,
  stateCleanupDelayMs: 10 * 60 * 1000,
  sliceMs: 5,
  sliceRecords: 256,
  unitTimeoutMs: 5 * 60 * 1000,
  restartBackoffMs: 100,
  closeDeadlineMs: 30_000,
  offsetsPendingMs: 70_000,
  sessionTimeoutMs: 45_000,
  rebalanceTimeoutMs: 60_000,
  heartbeatIntervalMs: 3_000,
  topicCheckIntervalMs: 60_000,
  standbyIntervalMs: 500,
}

/** All limits, those of `given` before the defaults. Throws MILLRACE_LIMITS_CONFLICT where two of them let nothing be committed. */
export function limitsOf(guarantee: Guarantee, given: Partial<StreamsLimits> = {}): StreamsLimits {
  const isExactlyOnce = guarantee === 'exactly-once'
  const limits = { ...DEFAULT_LIMITS, commitIntervalMs: isExactlyOnce ? 100 : 30_000, ...given }
  const { commitIntervalMs, transactionTimeoutMs } = limits
  // The log would abort each transaction before its commit is due, and the work would begin anew for ever.
  if (isExactlyOnce && commitIntervalMs > transactionTimeoutMs) {
    throw new MillraceError(
      'MILLRACE_LIMITS_CONFLICT',
      `commitIntervalMs is ${commitIntervalMs} and transactionTimeoutMs ${transactionTimeoutMs}: ` +
        'under exactly-once the log would abort every transaction before it is committed. ' +
        'Commit more often, or raise transactionTimeoutMs.',
      { place: 'limits' },
    )
  }
  return limits
}

/** Something that happened in an app. */
export type StreamsEvent =
  | { readonly kind: 'state'; readonly from: string; readonly to: string }
  | { readonly kind: 'paused' }
  | { readonly kind: 'resumed' }
  | { readonly kind: 'unit-started'; readonly unit: number; readonly tasks: readonly string[] }
  | {
      readonly kind: 'restoring'
      readonly store: string
      readonly restored: number
      readonly remaining: number
    }
  | { readonly kind: 'rewound'; readonly unit: number; readonly error: Error }
  | {
      readonly kind: 'restarting'
      readonly unit: number
      readonly error: Error
      readonly delayMs: number
    }
  | { readonly kind: 'skipped'; readonly place: string; readonly error: Error }
  | { readonly kind: 'notice'; readonly message: string }
