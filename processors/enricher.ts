/**
 * What an author or a service hands to `enrich`: a function for services that answer one call, or a
 * session for streaming services, which take records in order and answer some of them much later.
 * How the answers become exactly-once is processors/enrich.ts.
 */
import type { StreamRecord } from '../model/record.ts'
import type { Serde } from '../serdes/serde.ts'

/** One call with one answer. May be called again for the same record: after a failure, and after a crash before the commit. */
export interface FunctionEnricher<K, V, R> {
  readonly kind: 'function'
  readonly call: (record: StreamRecord<K, V>, attempt: EnrichAttempt) => Promise<R>
  /** How results are kept where they have to wait in a store. */
  readonly value?: Serde<R>
  readonly classify?: ClassifyFailure
}

/** Records of one ordering key go to one session, in order. */
export interface SessionEnricher<K, V, R> {
  readonly kind: 'session'
  /** Opens the stream of one ordering key (for video: of one video). `signal` aborts the session; it must then end by itself. */
  readonly open: (session: SessionStart) => Promise<EnrichSession<K, V, R>>
  /** Whether a record is the last of its session. The session is ended after it. */
  readonly isLast: (record: StreamRecord<K, V>) => boolean
  readonly value?: Serde<R>
  readonly classify?: ClassifyFailure
}

/** Either form. */
export type Enricher<K, V, R> = FunctionEnricher<K, V, R> | SessionEnricher<K, V, R>

/** What a call is told. */
export interface EnrichAttempt {
  /** From 1. */
  readonly attempt: number
  /** Aborts at the attempt's deadline, and when the task goes away. */
  readonly signal: AbortSignal
  /** `application/topic/topic id/partition/offset/sequence`, with a further sequence for each enrich step before this one: the same at every attempt and after every crash, and another where the topic was made anew. */
  readonly idempotencyKey: string
}

/** What a session is told when it is opened. */
export interface SessionStart {
  /** The ordering key, as text. */
  readonly sessionKey: string
  /** From 1; grows when the session is opened again after a failure. */
  readonly attempt: number
  readonly signal: AbortSignal
}

/**
 * An open stream. After an error on it, every promise it has handed out and not settled rejects with
 * that error, and enrich opens a new session that begins again with the first record of the key.
 */
export interface EnrichSession<K, V, R> {
  /**
   * Takes the next record. `taken` settles when the transport has taken the bytes (for
   * back-pressure), `result` when the record's answer is complete.
   */
  push(record: StreamRecord<K, V>): PushedRecord<R>
  /** No record follows: the service closes what is open and answers all. Resolves when every result is settled. */
  end(): Promise<void>
  /** Drops the stream at once; answers that were not given are not awaited. Never rejects. */
  abort(reason: Error): void
}

/** A record on its way through a session. */
export interface PushedRecord<R> {
  readonly taken: Promise<void>
  readonly result: Promise<R>
}

/**
 * What a failure means. retry: the service may do better later. reject: this input can never
 * succeed; the terminal policy decides. stop: nothing can succeed (credentials, configuration).
 */
export type FailureClass = 'retry' | 'reject' | 'stop'

/** Sorts what a call or a session threw. */
export type ClassifyFailure = (error: Error) => FailureClass
