/**
 * What is done about each failure. Two questions, two tables: a record that cannot be read or
 * processed goes by the author's policy; an error of a unit goes by its kind.
 */
import { asError, isMillraceError, MillraceError } from '../model/errors.ts'
import { SchemaPending } from '../serdes/serde.ts'
import { TransportError } from '../transport/errors.ts'
import type { Guarantee } from './config.ts'

/** stop fails the app, skip leaves the record out and counts it, dead-letter also sends it to the dead-letter topic. */
export type RecordPolicy = 'stop' | 'skip' | 'dead-letter'

/** One policy for each thing that may go wrong with a record. */
export interface FailurePolicies {
  /** Bytes that the serde refuses, and timestamps below zero. Default stop. */
  readonly deserialization: RecordPolicy
  /** An operator's or the author's function threw. skip leaves out the rest of the subtree for this record; what it did before stays. Default stop. */
  readonly processing: RecordPolicy
}

/** The policies, those of `given` before the defaults. */
export function policiesOf(given: Partial<FailurePolicies> = {}): FailurePolicies {
  return { deserialization: 'stop', processing: 'stop', ...given }
}

/**
 * What a unit does about an error:
 * - rewind: abort the transaction, drop what it wrote, go back to the committed offsets
 * - restart: take the way of a crash: init, committed offsets, delta restore
 * - stop: fail the app
 */
export type UnitRemedy = 'rewind' | 'restart' | 'stop'

/** Whether a unit is told its share once, or shares with a group. */
export type UnitMode = 'static' | 'group'

/**
 * Sorts an error that reached the unit. Under at-least-once nothing can be taken back, so a rewind is
 * a restart. Fenced in a group is a restart, for an heir may have taken this process for dead. Where
 * somebody else runs the same partition in static mode, or has this one's instance id in a group, it
 * is a stop: two that fence each other for ever help nobody. Access that is refused is a stop for who
 * has never worked; who has was given it, and may get back what was taken from him.
 */
export function remedyFor(
  error: Error,
  {
    guarantee,
    mode,
    hasWorked = false,
  }: { readonly guarantee: Guarantee; readonly mode: UnitMode; readonly hasWorked?: boolean },
): UnitRemedy {
  if (isMillraceError(error, 'MILLRACE_GROUP_INSTANCE_FENCED')) return 'stop'
  if (mode === 'group' && error instanceof TransportError && error.kind === 'fenced')
    return 'restart'
  if (hasWorked && error instanceof TransportError && error.isAccess) return 'restart'
  const remedy = bareRemedyFor(error)
  return remedy === 'rewind' && guarantee === 'at-least-once' ? 'restart' : remedy
}

/** Errors of sends that an abort does not mend: the same record comes again. */
const STAYS_AFTER_ABORT: ReadonlySet<string> = new Set([
  'MILLRACE_RECORD_TOO_LARGE',
  'MILLRACE_RECORD_WITHOUT_KEY',
  'MILLRACE_TIMESTAMP_REFUSED',
  'MILLRACE_UNKNOWN_PARTITION',
])

function bareRemedyFor(error: Error): UnitRemedy {
  // A store met a value whose schema has to be fetched: done again when it is here.
  if (error instanceof SchemaPending) return 'rewind'
  if (isMillraceError(error) && STAYS_AFTER_ABORT.has(error.code)) return 'stop'
  if (error instanceof TransportError) {
    // Another process may have taken this one for dead, gone on, and purged what it has read: a start
    // looks at the committed offsets again, and stops where what they ask for is gone.
    if (error.code === 'MILLRACE_OFFSET_OUT_OF_RANGE') return 'restart'
    switch (error.kind) {
      case 'abortable':
        return 'rewind'
      case 'retriable':
        return 'restart'
      case 'fenced':
      case 'fatal':
        return 'stop'
      default:
        return error.kind satisfies never
    }
  }
  if (!isMillraceError(error)) return 'stop'
  if (error.remedy === 'rewind') return 'rewind'
  return error.remedy === 'retry' ? 'restart' : 'stop'
}

/** Wraps what a processor threw, naming the processor and the record. */
export function processingError(thrown: unknown, processor: string, place: string): MillraceError {
  if (isMillraceError(thrown, 'MILLRACE_PROCESSING_FAILED')) return thrown
  const cause = asError(thrown)
  return new MillraceError(
    'MILLRACE_PROCESSING_FAILED',
    `processor ${processor} failed on ${place}: ${cause.message}. ` +
      'Mend the function, or let such records be skipped or dead-lettered (failures.processing).',
    { place, cause },
  )
}

/** Wraps what an author's function threw inside an event of an operator; what millrace itself threw is passed on. */
export function eventError(thrown: unknown, processor: string): Error {
  const error = asError(thrown)
  if (isMillraceError(error) || error instanceof SchemaPending) return error
  return processingError(error, processor, 'an answer')
}

/** Wraps what a serde or a timestamp said about a record's bytes, naming the record. */
export function unreadableRecord(thrown: unknown, place: string): MillraceError {
  const cause = asError(thrown)
  return new MillraceError(
    'MILLRACE_RECORD_UNREADABLE',
    `the record at ${place} cannot be read: ${cause.message}. ` +
      'Mend its producer, or let such records be skipped or dead-lettered (failures.deserialization).',
    { place, cause },
  )
}
