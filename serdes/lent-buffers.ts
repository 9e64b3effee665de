/**
 * Buffers for large values, used again and again. A fresh buffer of megabytes costs a page fault for
 * each 4 KiB when it is filled, three times what the copy itself takes, and lies about until the
 * garbage collector comes by; a producer knows exactly when the bytes it was given have left.
 */
import type { Room } from './serde.ts'

/** Free buffers are kept up to this many bytes, where nothing else is said. */
export const FREE_BYTES = 32 * 1024 * 1024
/** Buffers grow in steps of this, so that values of nearly one size share them. */
const STEP_BYTES = 64 * 1024

/** Lends buffers and takes them back. */
export class LentBuffers implements Room {
  readonly #limitBytes: number
  /** By the memory behind it, so that a part of a buffer finds the whole. Weak: one that never comes back is garbage. */
  #lent = new WeakMap<ArrayBufferLike, Buffer>()
  readonly #free: Buffer[] = []
  #freeBytes = 0

  constructor(limitBytes = FREE_BYTES) {
    this.#limitBytes = limitBytes
  }

  take(bytes: number): Buffer {
    const rounded = Math.ceil(bytes / STEP_BYTES) * STEP_BYTES
    const index = this.#free.findIndex(
      ({ length }) => length >= bytes && length <= rounded + (rounded >>> 2),
    )
    const [found] = index < 0 ? [] : this.#free.splice(index, 1)
    if (found !== undefined) this.#freeBytes -= found.length
    const buffer = found ?? Buffer.allocUnsafeSlow(rounded)
    this.#lent.set(buffer.buffer, buffer)
    return buffer
  }

  /** Whether these bytes lie in a buffer that is lent. */
  has(bytes: Buffer): boolean {
    return this.#lent.has(bytes.buffer)
  }

  /** Takes the buffer back in which these bytes lie; nothing may refer to it any more. Bytes that lie elsewhere are let be. */
  giveBack(bytes: Buffer): void {
    const buffer = this.#lent.get(bytes.buffer)
    if (buffer === undefined) return
    this.#lent.delete(bytes.buffer)
    if (buffer.length > this.#limitBytes) return
    // What was not asked for again since is of another size: the oldest makes room.
    while (this.#free.length > 0 && this.#freeBytes + buffer.length > this.#limitBytes) {
      this.#freeBytes -= this.#free.shift()?.length ?? 0
    }
    this.#free.push(buffer)
    this.#freeBytes += buffer.length
  }

  /** Forgets what is lent: nobody will say when it is free. */
  forget(): void {
    this.#lent = new WeakMap()
  }
}
