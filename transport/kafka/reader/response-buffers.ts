/**
 * Buffers for answers, used again (transport/buffer-pool.ts says why): fresh ones would be half of
 * what a fetch costs. The socket reads straight into them, and records are views of them, so one goes
 * back when nobody holds it any more: neither what is queued nor a batch that was handed out. A batch
 * that is never released keeps its buffer from the pool, not from the garbage collector.
 */
import { BufferPool } from '../../buffer-pool.ts'

/** Below this many bytes a fresh buffer costs less than to look for one. */
const POOLED_FROM_BYTES = 64 * 1024
/** Answers of one reader differ more than values of one topic: coarse steps, and up to twice what is needed. */
const SIZES = { stepBytes: 256 * 1024, spare: 1 }

/** The buffers of one reader. */
export class ResponseBuffers {
  readonly #pool: BufferPool

  /** `limitBytes`: what is kept of buffers that were given back. */
  constructor(limitBytes: number) {
    this.#pool = new BufferPool(limitBytes, SIZES)
  }

  /** Bytes of the buffers that wait to be used again. */
  get freeBytes(): number {
    return this.#pool.freeBytes
  }

  /** A buffer of at least `sizeBytes`, held once. */
  take(sizeBytes: number): ResponseBuffer {
    if (sizeBytes < POOLED_FROM_BYTES) return new ResponseBuffer(Buffer.allocUnsafe(sizeBytes))
    const bytes = this.#pool.take(sizeBytes)
    return new ResponseBuffer(bytes, () => this.#pool.give(bytes))
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
