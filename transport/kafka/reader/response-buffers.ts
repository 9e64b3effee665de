/**
 * Buffers for answers, used again: a fresh one of 5 MiB costs a page fault for each 4 KiB, which is
 * half of what a fetch costs. The socket reads straight into them, and records are views of them, so
 * one goes back when nobody holds it any more: neither what is queued nor a batch that was handed out.
 * A batch that is never released keeps its buffer from the pool, not from the garbage collector.
 */

/** Below this many bytes a fresh buffer costs less than to look for one. */
const POOLED_FROM_BYTES = 64 * 1024
/** Buffers grow in steps of this, so that answers of nearly one size share them. */
const STEP_BYTES = 256 * 1024

/** The buffers of one reader. */
export class ResponseBuffers {
  readonly #limitBytes: number
  readonly #free: Buffer[] = []
  #freeBytes = 0

  /** `limitBytes`: what is kept of buffers that were given back. */
  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes
  }

  /** Bytes of the buffers that wait to be used again. */
  get freeBytes(): number {
    return this.#freeBytes
  }

  /** A buffer of at least `sizeBytes`, held once. */
  take(sizeBytes: number): ResponseBuffer {
    if (sizeBytes < POOLED_FROM_BYTES) return new ResponseBuffer(Buffer.allocUnsafe(sizeBytes))
    const rounded = Math.ceil(sizeBytes / STEP_BYTES) * STEP_BYTES
    const index = this.#free.findIndex(({ length }) => length >= sizeBytes && length <= 2 * rounded)
    const [found] = index < 0 ? [] : this.#free.splice(index, 1)
    this.#freeBytes -= found?.length ?? 0
    const bytes = found ?? Buffer.allocUnsafeSlow(rounded)
    return new ResponseBuffer(bytes, () => this.#give(bytes))
  }

  #give(bytes: Buffer): void {
    if (this.#freeBytes + bytes.length > this.#limitBytes) return
    this.#free.push(bytes)
    this.#freeBytes += bytes.length
  }
}

/** One buffer, and how many hold it. */
export class ResponseBuffer {
  readonly bytes: Buffer
  readonly #give: (() => void) | undefined
  #holders = 1

  constructor(bytes: Buffer, give?: () => void) {
    this.bytes = bytes
    this.#give = give
  }

  hold(): void {
    this.#holders += 1
  }

  /** To be called once for each hold; the buffer may be overwritten after the last one. */
  release(): void {
    this.#holders -= 1
    if (this.#holders === 0) this.#give?.()
  }
}
