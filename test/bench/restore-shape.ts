/** What the benchmark of restarts and its processes share. */
import { asTopic } from '../../model/position.ts'

/** Records that each change the row of a key. */
export const WORK = 'restore-work'
/** One short record for each change. */
export const DONE = 'restore-done'
/** Bytes of a row. */
export const ROW_BYTES = 10 * 1024
/** A killed process loses its tasks to another one after this. */
export const SESSION_MS = 6_000
/** The topics of both. */
export const TOPICS = [WORK, DONE].map(asTopic)

/** What a process is told: JSON in its one argument. */
export interface RestorePlace {
  readonly brokers: readonly string[]
  /** The state folder. */
  readonly folder: string
  /** A killed process that is started again under the same name gets its tasks at once. */
  readonly instance: string
}
