/** Read buffers given back, for the next read: a fresh one of 5 MiB costs a page fault for each 4 KiB. */

/** Buffers grow in steps of this, so that values of nearly one size share them. */
const STEP_BYTES = 64 * 1024

/** Buffers that nothing refers to. */
export class BufferPool {
  readonly #limitBytes: number
  readonly #free: Buffer[] = []
  #freeBytes = 0

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  /** A buffer of at least `bytes`, and at most a quarter larger than it must be; what it holds is anything. */
  take(bytes: number): Buffer {
    const rounded = Math.ceil(bytes / STEP_BYTES) * STEP_BYTES
    const index = this.#free.findIndex(
      ({ length }) => length >= bytes && length <= rounded + (rounded >>> 2),
    )
    const [found] = index < 0 ? [] : this.#free.splice(index, 1)
    if (found === undefined) return Buffer.allocUnsafeSlow(rounded)
    this.#freeBytes -= found.length
    return found
  }

  /** Gives a buffer of `take` back. Nothing may refer to it any more. */
  give(buffer: Buffer): void {
    if (this.#freeBytes + buffer.length > this.#limitBytes) return
    this.#free.push(buffer)
    this.#freeBytes += buffer.length
  }
}
