/**
 * An asynchronous step inside exactly-once. Intake is synchronous: a row in the pending store, and
 * the offset moves on, both in one transaction. An answer is a task event: it takes the row away and
 * forwards the result, in one transaction. After a crash the rows that are there are submitted again
 * in order. So offsets are never held back, other branches of the topology are never replayed, and an
 * hour-long call costs one row. (Holding the offset back instead would repeat what later records
 * have already committed.)
 *
 * Time downstream is held at the oldest waiting row, so that a slow service never makes a join drop
 * its partner.
 */
import type { Serde } from '../serdes/serde.ts'
import type { EnrichOptions, EnrichTuning } from './enrich-options.ts'
import type { Enricher } from './enricher.ts'
import { ByteBudget, Slots, type EnrichLimits } from './enrich-limits.ts'
import { pendingStore } from './enrich-rows.ts'
import { EnrichStep } from './enrich-step.ts'
import { CallDriver } from './enrich-calls.ts'
import { SessionDriver } from './enrich-sessions.ts'
import type { DriverTask, EnrichDriver } from './enrich-lanes.ts'
import type { Dereferenced } from './payloads.ts'
import type { ProcessorContext, ProcessorSpec, SerdeUse } from './processor.ts'
import type { RetryLimits } from './retry.ts'

/** An enrich step as the topology declares it. */
export interface EnrichDeclaration<K, V, R> {
  readonly name: string
  readonly enricher: Enricher<K, Dereferenced<V>, R>
  readonly options: EnrichOptions<K, Dereferenced<V>, R>
  readonly key: Serde<K>
  readonly value: Serde<V>
  /** How the bytes behind a reference are read; undefined where the value is none. */
  readonly payload?: SerdeUse
}

/** The processor of an enrich step. */
export function enrich<K, V, R>(
  declaration: EnrichDeclaration<K, V, R>,
): ProcessorSpec<K, V, K, R> {
  const { enricher, payload } = declaration
  const serdes = payload === undefined ? {} : { payload }
  return enrichSpec({ ...declaration, kind: 'enrich', serdes }, () => ({ enricher }))
}

/** Any step that works like an enrichment. */
export interface EnrichShape<K, V, R> {
  readonly kind: string
  readonly name: string
  readonly options: EnrichOptions<K, Dereferenced<V>, R>
  readonly key: Serde<K>
  readonly value: Serde<V>
  /** Serdes that the step needs besides; one named `payload` reads the bytes behind a reference before the enricher sees the record. */
  readonly serdes: Readonly<Record<string, SerdeUse>>
}

/** What the step does with a record. */
export interface EnrichWork<K, V, R> {
  readonly enricher: Enricher<K, Dereferenced<V>, R>
  /** An answer that can be had at once; asked only where nothing of the record's lane waits. */
  readonly immediate?: (value: V) => R | undefined
  /** Bytes that a call brings into memory beside those of its record: they count against the bytes in flight, too. Default none. */
  readonly fetchedBytes?: (value: Dereferenced<V>) => number
}

/** The processor of a step that works like an enrichment; `work` is made once per running half. */
export function enrichSpec<K, V, R>(
  shape: EnrichShape<K, V, R>,
  work: (context: ProcessorContext<K, R>) => EnrichWork<K, V, R>,
): ProcessorSpec<K, V, K, R> {
  const { kind, name, options, key, value, serdes } = shape
  const store = pendingStore(name)
  const limitsKey = {}
  return {
    kind,
    name,
    stores: [store],
    serdes: {
      ...serdes,
      key: { serde: key, topic: store.name, role: 'key' },
      value: { serde: value, topic: store.name, role: 'value' },
    },
    // Only the place of a record is asked for.
    leasesSource: true,
    ...(options.onFailure === 'dead-letter' ? { deadLetters: true } : {}),
    create: (context) => {
      const limits = context.shared(limitsKey, () => limitsOf(options))
      const made = work(context)
      return new EnrichStep<K, V, R>({
        options,
        work: made,
        behindReferences: serdes['payload'] !== undefined,
        store: context.store(store),
        context,
        drive: (task) => driver(made, task, { options, limits, context }),
      })
    },
  }
}

const DEFAULTS = {
  calls: 16,
  sessions: 3,
  inFlightBytes: 32 * 1024 * 1024,
  attempts: 10,
  attemptDeadlineMs: 5 * 60 * 1000,
  totalDeadlineMs: 60 * 60 * 1000,
  backoffMs: 200,
  maxBackoffMs: 30_000,
} as const

function driver<K, V, R>(
  { enricher }: EnrichWork<K, V, R>,
  task: DriverTask<K, Dereferenced<V>, R>,
  given: {
    readonly options: EnrichOptions<K, Dereferenced<V>, R>
    readonly limits: EnrichLimits
    readonly context: ProcessorContext<K, R>
  },
): EnrichDriver {
  const { options, limits, context } = given
  const { clock, caughtUp } = context
  const parts = { limits, clock, task, retry: retryOf(options) }
  if (enricher.kind === 'function') return new CallDriver({ ...parts, enricher })
  const release = options.release ?? 'input-order'
  return new SessionDriver({ ...parts, enricher, release, caughtUp })
}

function limitsOf(options: EnrichTuning): EnrichLimits {
  return {
    calls: new Slots(options.calls ?? DEFAULTS.calls),
    sessions: new Slots(options.sessions ?? DEFAULTS.sessions),
    bytes: new ByteBudget(options.inFlightBytes ?? DEFAULTS.inFlightBytes),
  }
}

function retryOf(options: EnrichTuning): RetryLimits {
  const { attempts, attemptDeadlineMs, totalDeadlineMs, backoffMs, maxBackoffMs } = options
  return {
    attempts: attempts ?? DEFAULTS.attempts,
    attemptDeadlineMs: attemptDeadlineMs ?? DEFAULTS.attemptDeadlineMs,
    totalDeadlineMs: totalDeadlineMs ?? DEFAULTS.totalDeadlineMs,
    backoffMs: backoffMs ?? DEFAULTS.backoffMs,
    maxBackoffMs: maxBackoffMs ?? DEFAULTS.maxBackoffMs,
  }
}
