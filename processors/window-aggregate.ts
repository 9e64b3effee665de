/**
 * All records of a key and window as one value, as a table of windowed keys. Source of the rules:
 * Kafka Streams' KStreamWindowAggregate, update by update. Unlike an aggregate without windows it
 * takes records without a value. A window closes for good once time has come to its end and the grace
 * behind it; what belongs into a closed one is dropped and counted, window by window.
 */
import { StreamRecord } from '../model/record.ts'
import type { Windowed } from '../serdes/windowed.ts'
import type { ValueAndTimestamp, WindowStore, WindowStoreSpec } from '../state/store.ts'
import type { Aggregation } from './aggregate.ts'
import type { Change } from './change.ts'
import type { Processor, ProcessorContext, ProcessorSpec } from './processor.ts'
import { StepClock } from './step-clock.ts'
import { firstStart, type TimeWindows } from './time-windows.ts'

/** An aggregate as the topology declares it. */
export interface WindowAggregate<K, A> {
  readonly name: string
  readonly windows: TimeWindows
  /** Its size is that of the windows, its retention at least size and grace. */
  readonly rows: WindowStoreSpec<K, A>
}

/** What a window's value becomes with one more record; undefined before the first, null removes the row. */
type Next<K, V, A> = (old: A | undefined, value: V, key: K) => A | null

/** How many records each key has had in each window. A record without key is dropped and counted in `dropped-records`, and so is one for each window that it comes too late for. */
export function windowCount<K, V>(
  step: WindowAggregate<K, bigint>,
): ProcessorSpec<K, V, Windowed<K>, Change<bigint>> {
  return windowed('count', step, (old) => (old === undefined ? 1n : old + 1n))
}

/** Forwards, at each record and window, what `reducer` makes of the window's value so far and the record's. The first value stands for itself. Drops as `windowCount`. */
export function windowReduce<K, V>(
  step: WindowAggregate<K, V>,
  reducer: (aggregate: V, value: V, key: K) => V | null,
): ProcessorSpec<K, V, Windowed<K>, Change<V>> {
  return windowed('reduce', step, (old, value, key) =>
    old === undefined ? value : reducer(old, value, key),
  )
}

/** Forwards the new value of a window at each of its records. Drops as `windowCount`. */
export function windowAggregate<K, V, A>(
  step: WindowAggregate<K, A>,
  { initial, add }: Aggregation<K, V, A>,
): ProcessorSpec<K, V, Windowed<K>, Change<A>> {
  return windowed('aggregate', step, (old, value, key) =>
    add(old === undefined ? initial() : old, value, key),
  )
}

function windowed<K, V, A>(
  kind: string,
  step: WindowAggregate<K, A>,
  next: Next<K, V, A>,
): ProcessorSpec<K, V, Windowed<K>, Change<A>> {
  const { name, rows } = step
  return { kind, name, stores: [rows], create: (context) => new Aggregating(step, next, context) }
}

class Aggregating<K, V, A> implements Processor<K, V> {
  readonly #windows: TimeWindows
  readonly #next: Next<K, V, A>
  readonly #store: WindowStore<K, A>
  readonly #clock: StepClock
  readonly #context: ProcessorContext<Windowed<K>, Change<A>>

  constructor(
    { windows, rows }: WindowAggregate<K, A>,
    next: Next<K, V, A>,
    context: ProcessorContext<Windowed<K>, Change<A>>,
  ) {
    this.#windows = windows
    this.#next = next
    this.#store = context.windowStore(rows)
    this.#clock = new StepClock(this.#store, context.heldTime)
    this.#context = context
  }

  open(): Promise<void> {
    this.#clock.open()
    return Promise.resolve()
  }

  process = (record: StreamRecord<K, V>): void => {
    const { key, timestamp } = record
    if (key === null || key === undefined) {
      this.#context.count('dropped-records')
      return
    }
    const { sizeMs, advanceMs, graceMs } = this.#windows
    const closedMs = this.#clock.observe(timestamp) - graceMs
    for (let start = firstStart(this.#windows, timestamp); start <= timestamp; start += advanceMs) {
      if (start + sizeMs > closedMs) this.#update(record, start)
      else this.#context.count('dropped-records')
    }
  }

  beforeCommit(): void {
    this.#clock.keep()
  }

  #update({ key, value, timestamp, headers }: StreamRecord<K, V>, startMs: number): void {
    const old = this.#store.fetch(key, startMs)
    const newValue = this.#next(old?.value, value, key)
    const newTimestamp = old === undefined ? timestamp : Math.max(timestamp, old.timestamp)
    this.#keep(key, startMs, { value: newValue, timestamp: newTimestamp })
    const change = { newValue, oldValue: old === undefined ? null : old.value }
    const window = { key, startMs, endMs: startMs + this.#windows.sizeMs }
    this.#context.forward(new StreamRecord(window, change, newTimestamp, headers))
  }

  #keep(key: K, startMs: number, { value, timestamp }: ValueAndTimestamp<A | null>): void {
    // A removal is written also where there is no row: its record is what brings the time back that it was seen at.
    if (value === null) this.#store.delete(key, startMs, timestamp)
    else this.#store.put(key, startMs, { value, timestamp })
  }
}
