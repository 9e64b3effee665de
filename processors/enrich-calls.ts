/**
 * Enriching by calls: one at a time for each lane, as many lanes at once as the process allows. A
 * record that is tried again keeps its lane's turn, gives its place back while it waits, and no other
 * lane waits for it.
 */
import type { Clock } from '../model/clock.ts'
import { asError } from '../model/errors.ts'
import type { EnrichLimits } from './enrich-limits.ts'
import type { DriverTask, EnrichDriver, Lane, LaneEntry, LoadedRecord } from './enrich-lanes.ts'
import type { FunctionEnricher } from './enricher.ts'
import { classifyFailure } from './classify-failure.ts'
import { backOff, withDeadline, type RetryLimits } from './retry.ts'

/** What calls are made with. */
export interface CallDriverParts<K, V, R> {
  readonly enricher: FunctionEnricher<K, V, R>
  /** Bytes that a call brings into memory beside those of its record. */
  readonly fetchedBytes: ((value: V) => number) | undefined
  readonly limits: EnrichLimits
  readonly retry: RetryLimits
  readonly clock: Clock
  readonly task: DriverTask<K, V, R>
}

/** The driver of a function. */
export class CallDriver<K, V, R> implements EnrichDriver {
  readonly #parts: CallDriverParts<K, V, R>
  readonly #queued: Lane[] = []
  readonly #pump = (): void => this.#startCalls()

  constructor(parts: CallDriverParts<K, V, R>) {
    this.#parts = parts
    parts.task.signal.addEventListener('abort', () => parts.limits.calls.forget(this.#pump), {
      once: true,
    })
  }

  wake(lane: Lane): void {
    if (lane.phase !== 'parked' || lane.entries.length === 0) return
    lane.phase = 'queued'
    this.#queued.push(lane)
    this.#startCalls()
  }

  #startCalls(): void {
    const { limits, task } = this.#parts
    while (this.#queued.length > 0 && !task.signal.aborted) {
      if (!limits.calls.take(this.#pump)) return
      const lane = this.#queued.shift() as Lane
      lane.phase = 'running'
      void this.#runFirst(lane)
    }
  }

  /** Takes the lane's first record to its end. Holds a place of the limit when called, and none when done. */
  async #runFirst(lane: Lane): Promise<void> {
    const { task } = this.#parts
    const entry = lane.entries[0] as LaneEntry
    const place = new HeldPlace(this.#parts.limits.calls)
    try {
      await this.#tryUntilSettled(lane, entry, place)
      lane.phase = 'parked'
    } catch (error) {
      // The lane is not tried again: the task fails, and does so only when the record loop comes to it.
      lane.phase = 'failed'
      if (!task.signal.aborted) task.fail(asError(error))
    } finally {
      place.free()
    }
    this.wake(lane)
  }

  async #tryUntilSettled(lane: Lane, entry: LaneEntry, place: HeldPlace): Promise<void> {
    const { task, retry, clock } = this.#parts
    const deadline = clock.monotonic() + retry.totalDeadlineMs
    for (let attempt = 1; ; attempt += 1) {
      let loaded: LoadedRecord<K, V> | undefined
      try {
        loaded = await task.load(entry, task.signal)
        const { result, onTaken } = await this.#call(loaded, attempt)
        task.settle(lane, entry, { kind: 'result', result, isLast: false, onTaken })
        return
      } catch (thrown) {
        const error = asError(thrown)
        task.signal.throwIfAborted()
        const failure = classifyFailure(error, this.#parts.enricher.classify)
        if (failure === 'stop') throw error
        const isOver = attempt >= retry.attempts || clock.monotonic() >= deadline
        if (failure === 'reject' || isOver) {
          const { record, raw } = loaded ?? (await task.loadUnreadable(entry, task.signal))
          task.settle(lane, entry, { kind: 'failed', error, record, raw, isLast: false })
          return
        }
        const what = `the call for ${loaded?.idempotencyKey ?? lane.key}`
        task.retrying({ what, error, attempt, attempts: retry.attempts })
        place.free()
        await backOff(attempt, retry, { clock, signal: task.signal })
        await place.take(task.signal)
      }
    }
  }

  /** The result keeps its bytes until the record loop takes it over, which may wait for a commit. */
  async #call(
    { record, raw, idempotencyKey }: LoadedRecord<K, V>,
    attempt: number,
  ): Promise<{ readonly result: R; readonly onTaken: () => void }> {
    const { enricher, retry, clock, task, fetchedBytes } = this.#parts
    const bytes = raw.length + (fetchedBytes?.(record.value) ?? 0)
    const free = await this.#takeBytes(bytes)
    try {
      task.count('calls')
      const result = await withDeadline(
        async (signal) => await enricher.call(record, { attempt, signal, idempotencyKey }),
        { deadlineMs: retry.attemptDeadlineMs, what: `the call for ${idempotencyKey}`, clock },
        task.signal,
      )
      return { result, onTaken: free }
    } catch (error) {
      free()
      throw error
    }
  }

  /** Takes bytes of the limit; gives what gives them back, which the end of the task does, too. */
  async #takeBytes(bytes: number): Promise<() => void> {
    const { limits, task } = this.#parts
    await limits.bytes.take(bytes, task.signal)
    let isHeld = true
    const free = (): void => {
      if (!isHeld) return
      isHeld = false
      task.signal.removeEventListener('abort', free)
      limits.bytes.free(bytes)
    }
    if (task.signal.aborted) {
      free()
      task.signal.throwIfAborted()
    }
    task.signal.addEventListener('abort', free, { once: true })
    return free
  }
}

/** A place of a limit that may be given back for a while. */
class HeldPlace {
  readonly #slots: EnrichLimits['calls']
  #held = true

  constructor(slots: EnrichLimits['calls']) {
    this.#slots = slots
  }

  free(): void {
    if (!this.#held) return
    this.#held = false
    this.#slots.free()
  }

  async take(signal: AbortSignal): Promise<void> {
    await this.#slots.wait(signal)
    this.#held = true
  }
}
