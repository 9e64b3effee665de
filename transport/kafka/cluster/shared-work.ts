/**
 * Work that is done once for all who want it meanwhile. Each of them may give up for itself, by its own
 * signal or deadline, and ends the work for nobody else; when the last one has given up, the work is
 * told to end, so that nothing goes on for nobody.
 */
import { untilAborted } from '../../../model/until-aborted.ts'

/** One piece of work, begun when it is made. */
export class SharedWork<T> {
  /** For who does not count as one that waits. */
  readonly result: Promise<T>
  readonly #end = new AbortController()
  #waiting = 0
  #value: T | undefined
  #isSettled = false

  /** `work` ends early when its signal aborts. */
  constructor(work: (end: AbortSignal) => Promise<T>) {
    this.result = work(this.#end.signal)
    this.result.then(
      (value) => {
        this.#isSettled = true
        this.#value = value
      },
      () => (this.#isSettled = true),
    )
  }

  /** What came of it, once something has. */
  get value(): T | undefined {
    return this.#value
  }

  /** Whether it has ended, or was told to. */
  get isOver(): boolean {
    return this.#isSettled || this.#end.signal.aborted
  }

  /** Whether nothing came of it, or will: it has to be begun again. */
  get isLost(): boolean {
    return this.isOver && this.#value === undefined
  }

  /** Settles as the work does, or rejects with the signal's reason as soon as it aborts. */
  async wait(signal: AbortSignal | undefined): Promise<T> {
    this.#waiting += 1
    try {
      return await untilAborted(this.result, signal)
    } finally {
      this.#waiting -= 1
      if (this.#waiting === 0) this.end(new Error('nobody waits for it any more'))
    }
  }

  /** Tells the work to end, for all; nothing where it has. */
  end(reason: Error): void {
    if (!this.isOver) this.#end.abort(reason)
  }
}
