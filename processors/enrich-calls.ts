/**
 * Enriching by calls: one at a time for each lane, as many lanes at once as the process allows. A
 * record that is tried again keeps its lane's turn, gives its place back while it waits, and no other
 * lane waits for it.
 */
import type { Clock } from '../model/clock.ts'
import { asError } from '../model/errors.ts'
import type { EnrichLimits } from './enrich-limits.ts'
import type {
  DriverTask,
  EnrichDriver,
  Lane,
  LaneEntry,
  LoadedRecord,
  Outcome,
} from './enrich-lanes.ts'
import type { FunctionEnricher } from './enricher.ts'
import { classifyFailure } from './classify-failure.ts'
import { backOff, withDeadline, type RetryLimits } from './retry.ts'

/** What calls are made with. */
export interface CallDriverParts<K, V, R> {
  readonly enricher: FunctionEnricher<K, V, R>
  readonly limits: EnrichLimits
  readonly retry: RetryLimits
  readonly clock: Clock
  readonly task: DriverTask<K, V, R>
}

/** Which try of a record it is, and when there are no more, on the monotonic clock. */
interface Round {
  readonly attempt: number
  readonly deadlineMs: number
}

const NOTHING_TAKEN = (): void => {}

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
    const deadlineMs = clock.monotonic() + retry.totalDeadlineMs
    for (let attempt = 1; ; attempt += 1) {
      if (await this.#try(lane, entry, { attempt, deadlineMs })) return
      place.free()
      await backOff(attempt, retry, { clock, signal: task.signal })
      await place.take(task.signal)
    }
  }

  /**
   * One try; answers whether the record is settled. Bytes of the limit are taken before the record is
   * read, always behind the place of the call. A record that is tried again gives them back, and its
   * value and its error are let go with this call: all records of an outage wait without any.
   */
  async #try(lane: Lane, entry: LaneEntry, round: Round): Promise<boolean> {
    const { task } = this.#parts
    let free = NOTHING_TAKEN
    let loaded: LoadedRecord<K, V> | undefined
    // The bytes count until the record loop takes the outcome over, which may wait for a commit.
    const settle = (outcome: Outcome<K, V, R>): void => {
      task.settle(lane, entry, { ...outcome, onTaken: free })
      free = NOTHING_TAKEN
    }
    try {
      free = await this.#takeBytes(await task.sizeOf(entry))
      loaded = await task.load(entry, task.signal)
      const result = await this.#call(loaded, round.attempt)
      settle({ kind: 'result', result, isLast: false })
    } catch (thrown) {
      const error = asError(thrown)
      if (!this.#isFinal(error, round)) {
        this.#tellRetry(error, loaded?.idempotencyKey ?? lane.key, round.attempt)
        return false
      }
      const { record, raw } = loaded ?? (await task.loadUnreadable(entry, task.signal))
      settle({ kind: 'failed', error, record, raw, isLast: false })
    } finally {
      free()
    }
    return true
  }

  /** Whether a failed try was the last one. Throws what ends the task. */
  #isFinal(error: Error, { attempt, deadlineMs }: Round): boolean {
    const { task, retry, clock, enricher } = this.#parts
    task.signal.throwIfAborted()
    const failure = classifyFailure(error, enricher.classify)
    if (failure === 'stop') throw error
    return failure === 'reject' || attempt >= retry.attempts || clock.monotonic() >= deadlineMs
  }

  #tellRetry(error: Error, name: string, attempt: number): void {
    const { task, retry } = this.#parts
    const { attempts } = retry
    task.retrying({ what: `the call for ${name}`, error, attempt, attempts })
  }

  async #call({ record, idempotencyKey }: LoadedRecord<K, V>, attempt: number): Promise<R> {
    const { enricher, retry, clock, task } = this.#parts
    task.count('calls')
    return await withDeadline(
      async (signal) => await enricher.call(record, { attempt, signal, idempotencyKey }),
      { deadlineMs: retry.attemptDeadlineMs, what: `the call for ${idempotencyKey}`, clock },
      task.signal,
    )
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
