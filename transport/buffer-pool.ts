/** Read buffers given back, for the next read: a fresh one of 5 MiB costs a page fault for each 4 KiB. */

/** How buffers of a pool are cut. */
export interface BufferSizes {
  /** They grow in steps of this, so that values of nearly one size share them. */
  readonly stepBytes: number
  /** A buffer serves what is smaller than it by at most this part of what a fresh one would have. */
  readonly spare: number
}

const SIZES: BufferSizes = { stepBytes: 64 * 1024, spare: 1 / 4 }

/** Buffers that nothing refers to. */
export class BufferPool {
  readonly #limitBytes: number
  readonly #sizes: BufferSizes
  readonly #free: Buffer[] = []
  #freeBytes = 0

  /** `limitBytes`: what is kept of buffers that were given back. */
  constructor(limitBytes: number, sizes: BufferSizes = SIZES) {
    this.#limitBytes = limitBytes
    this.#sizes = sizes
  }

  /** Bytes of the buffers that wait to be used again. */
  get freeBytes(): number {
    return this.#freeBytes
  }

  /** A buffer of at least `bytes`; what it holds is anything. */
  take(bytes: number): Buffer {
    const { stepBytes, spare } = this.#sizes
    const rounded = Math.ceil(bytes / stepBytes) * stepBytes
    const mostBytes = rounded * (1 + spare)
    const index = this.#free.findIndex(({ length }) => length >= bytes && length <= mostBytes)
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
