/**
 * All records of a key and session as one value, as a table of windowed keys. Source of the rules:
 * Kafka Streams' KStreamSessionWindowAggregate, update by update. A record joins all sessions within
 * the gap around it into one: what they were is removed row by row, also where one of them stays as
 * long as it was, and the new session follows. A session closes for good once time has passed its end,
 * the gap and the grace; a record that would only be in a closed one is dropped and counted.
 */
import { StreamRecord } from '../model/record.ts'
import type { Windowed } from '../serdes/windowed.ts'
import type { Session, SessionStore, SessionStoreSpec } from '../state/store.ts'
import type { Aggregation } from './aggregate.ts'
import type { Change } from './change.ts'
import type { Processor, ProcessorContext, ProcessorSpec } from './processor.ts'
import type { SessionWindows } from './session-windows.ts'
import { StepClock } from './step-clock.ts'

/** An aggregate of sessions as the topology declares it. */
export interface SessionAggregate<K, A> {
  readonly name: string
  readonly windows: SessionWindows
  /** Its retention is at least gap and grace. */
  readonly rows: SessionStoreSpec<K, A>
}

/** How the records of a session become one value. */
export interface SessionAggregation<K, V, A> extends Aggregation<K, V, A> {
  /** One value of two sessions that a record has joined; the first may be `initial`. */
  readonly merge: (aggregate: A, session: A, key: K) => A
}

/** From the sessions that a record joins to the value of the one that comes of it; null removes it. S is what stands between. */
interface Fold<K, V, A, S> {
  readonly initial: () => S
  readonly merge: (state: S, session: A, key: K) => S
  readonly add: (state: S, value: V, key: K) => A | null
}

/** How many records each session has had. A record without key is dropped and counted in `dropped-records`, and so is one that comes too late. */
export function sessionCount<K, V>(
  step: SessionAggregate<K, bigint>,
): ProcessorSpec<K, V, Windowed<K>, Change<bigint>> {
  return folding<K, V, bigint, bigint>('count', step, {
    initial: () => 0n,
    merge: (state, session) => state + session,
    add: (state) => state + 1n,
  })
}

/** Forwards, at each record, what `reducer` makes of the sessions it joins, the oldest first, and of the record. Drops as `sessionCount`. */
export function sessionReduce<K, V>(
  step: SessionAggregate<K, V>,
  reducer: (aggregate: V, value: V, key: K) => V | null,
): ProcessorSpec<K, V, Windowed<K>, Change<V>> {
  const next = (state: V | null, value: V, key: K): V | null =>
    state === null ? value : reducer(state, value, key)
  return folding<K, V, V, V | null>('reduce', step, { initial: () => null, merge: next, add: next })
}

/** Forwards the new value of a session at each of its records. Drops as `sessionCount`. */
export function sessionAggregate<K, V, A>(
  step: SessionAggregate<K, A>,
  aggregation: SessionAggregation<K, V, A>,
): ProcessorSpec<K, V, Windowed<K>, Change<A>> {
  return folding('aggregate', step, aggregation)
}

function folding<K, V, A, S>(
  kind: string,
  step: SessionAggregate<K, A>,
  fold: Fold<K, V, A, S>,
): ProcessorSpec<K, V, Windowed<K>, Change<A>> {
  const { name, rows } = step
  return { kind, name, stores: [rows], create: (context) => new Folding(step, fold, context) }
}

class Folding<K, V, A, S> implements Processor<K, V> {
  readonly #windows: SessionWindows
  readonly #fold: Fold<K, V, A, S>
  readonly #store: SessionStore<K, A>
  readonly #clock: StepClock
  readonly #context: ProcessorContext<Windowed<K>, Change<A>>

  constructor(
    { windows, rows }: SessionAggregate<K, A>,
    fold: Fold<K, V, A, S>,
    context: ProcessorContext<Windowed<K>, Change<A>>,
  ) {
    this.#windows = windows
    this.#fold = fold
    this.#store = context.sessionStore(rows)
    this.#clock = new StepClock(this.#store, context.heldTime)
    this.#context = context
  }

  open(): Promise<void> {
    this.#clock.open()
    return Promise.resolve()
  }

  process = (record: StreamRecord<K, V>): void => {
    const { key, value, timestamp } = record
    if (key === null || key === undefined) {
      this.#context.count('dropped-records')
      return
    }
    const { gapMs, graceMs } = this.#windows
    const closedMs = this.#clock.observe(timestamp) - graceMs - gapMs
    const found = this.#store.find(key, timestamp - gapMs, timestamp + gapMs)
    const startMs = Math.min(timestamp, ...found.map((session) => session.startMs))
    const endMs = Math.max(timestamp, ...found.map((session) => session.endMs))
    if (endMs < closedMs) {
      this.#context.count('dropped-records')
      return
    }
    // Before anything is removed: where the author's function throws and the record is left out, all stays as it was.
    const next = this.#fold.add(this.#joined(key, found), value, key)
    if (startMs !== timestamp || endMs !== timestamp) {
      for (const session of found) this.#remove(record, session)
    }
    this.#keep(record, { startMs, endMs }, next)
  }

  beforeCommit(): void {
    this.#clock.keep()
  }

  #joined(key: K, found: readonly Session<A>[]): S {
    const { initial, merge } = this.#fold
    return found.reduce((state, { value }) => merge(state, value, key), initial())
  }

  #remove(record: StreamRecord<K, V>, session: Session<A>): void {
    this.#store.remove(record.key, session, record.timestamp)
    this.#forward(record, session, { newValue: null, oldValue: session.value })
  }

  #keep(record: StreamRecord<K, V>, span: Span, value: A | null): void {
    const { key, timestamp } = record
    // Kafka Streams' results have the time of the session's end; the store's rows have it too, so that their changelog says how far time had come.
    if (value === null) this.#store.remove(key, span, timestamp)
    else this.#store.put(key, { ...span, value, timestamp: span.endMs })
    this.#forward(record, span, { newValue: value, oldValue: null })
  }

  #forward({ key, headers }: StreamRecord<K, V>, span: Span, change: Change<A>): void {
    const { startMs, endMs } = span
    this.#context.forward(new StreamRecord({ key, startMs, endMs }, change, endMs, headers))
  }
}

type Span = Pick<Session<unknown>, 'startMs' | 'endMs'>
