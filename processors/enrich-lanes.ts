/**
 * The order of an enrich step in memory. Records of one ordering key form a lane; a lane knows the
 * numbers of its rows, not their bytes, which stay in the store until their turn. What a driver
 * (calls or sessions) must do for a step, and what the step does for a driver, is said here.
 */
import type { StreamRecord } from '../model/record.ts'

/** A row of the store, as memory knows it. */
export interface LaneEntry {
  readonly arrival: number
  readonly timestamp: number
  /** Set when the record's result was forwarded; a session keeps such rows to replay them. */
  answered: boolean
}

/** How an enrichment ended. */
export type Outcome<K, V, R> =
  | {
      readonly kind: 'result'
      readonly result: R
      readonly isLast: boolean
      readonly onTaken?: OnTaken
    }
  | {
      readonly kind: 'failed'
      readonly error: Error
      /** The record as the enricher sees it; its value is null where its bytes could not be read. */
      readonly record: StreamRecord<K, V | null>
      /** The value's raw bytes, where they could be read. */
      readonly raw: Buffer | null
      readonly isLast: boolean
      readonly onTaken?: OnTaken
    }

/** Called once the record loop has taken an outcome over; never where the task ends before. */
type OnTaken = () => void

/** A row with its bytes made values. */
export interface LoadedRecord<K, V> {
  readonly record: StreamRecord<K, V>
  readonly raw: Buffer
  readonly idempotencyKey: string
}

/** A row of which only the key is sure. */
export interface UnreadableRecord<K> {
  readonly record: StreamRecord<K, null>
  readonly raw: Buffer | null
}

/** What a driver may ask of its step. */
export interface DriverTask<K, V, R> {
  readonly signal: AbortSignal
  /** Reads a row and, behind a reference, its bytes. Rejects with MILLRACE_REFERENCE_GONE or a SerdeError. */
  load(entry: LaneEntry, signal: AbortSignal): Promise<LoadedRecord<K, V>>
  /** A row whose value cannot be made: the record with value null, and its raw bytes where they can be read. */
  loadUnreadable(entry: LaneEntry, signal: AbortSignal): Promise<UnreadableRecord<K>>
  /** Bytes that loading and calling bring into memory: a value's size, without reading what is behind a reference. */
  sizeOf(entry: LaneEntry): Promise<number>
  /** Hands in how a row ended, in a task event: forwards the result, or applies the terminal policy. */
  settle(lane: Lane, entry: LaneEntry, outcome: Outcome<K, V, R>): void
  /** Nothing can succeed: fails the task. */
  fail(error: Error): void
  readonly count: (counter: string) => void
  /** Says that something failed and is tried again. */
  readonly retrying: (retry: Retry) => void
}

/** A try that failed and is followed by another. */
export interface Retry {
  /** What failed, for people: `the session of …`. */
  readonly what: string
  readonly error: Error
  /** The try that failed, from 1, of how many. */
  readonly attempt: number
  readonly attempts: number
}

/** Works off lanes. */
export interface EnrichDriver {
  /** A row came to this lane (or was there at the start). */
  wake(lane: Lane): void
}

/** The rows of one ordering key. */
export class Lane {
  readonly key: string
  /** In order of arrival. For a session: all its rows, answered ones included. */
  readonly entries: LaneEntry[] = []
  /** Where the driver stands; it alone changes this. */
  phase: 'parked' | 'queued' | 'running' | 'failed' = 'parked'
  /** Tells the driver that waits in the lane that a row came. */
  onEntry: (() => void) | undefined

  constructor(key: string) {
    this.key = key
  }

  add(entry: LaneEntry): void {
    this.entries.push(entry)
    this.onEntry?.()
  }
}
