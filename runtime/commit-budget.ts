/**
 * How many bytes one commit should carry. A way to the log that does not take `commitBytes` within the
 * transaction's timeout would never take them: after a transaction that was too late the next one is
 * half as large, and each one that comes through makes the next a little larger again.
 */

/** As little as a record of the usual batch size: less would not leave any sooner. */
const LEAST_BYTES = 1_000_000
/** Of the full size, by which it grows with each commit. */
const GROWTH = 1 / 16

/** The bytes of the commits of one run of a unit. */
export class CommitBudget {
  readonly #fullBytes: number
  #bytes: number

  constructor(fullBytes: number) {
    this.#fullBytes = fullBytes
    this.#bytes = fullBytes
  }

  /** What should wait at most before it is committed. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether the last commits came to nothing for their size: then no more may wait behind one, either. */
  get isShort(): boolean {
    return this.#bytes < this.#fullBytes
  }

  /** A transaction took longer than its timeout. */
  halve(): void {
    this.#bytes = Math.min(this.#fullBytes, Math.max(LEAST_BYTES, this.#bytes / 2))
  }

  /** A commit came through. */
  grow(): void {
    this.#bytes = Math.min(this.#fullBytes, this.#bytes + this.#fullBytes * GROWTH)
  }
}
