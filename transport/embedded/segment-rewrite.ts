/** A segment that compaction writes: batches are added in order, and it counts only once it took the place of others. */
import { rm } from 'node:fs/promises'
import type { BatchHeader } from '../record-batch.ts'
import { diskError } from './folder-errors.ts'
import type { FilePool } from './file-pool.ts'
import { needsPlace, Segment } from './segment.ts'

/** A segment under construction. Its file is removed when it is disposed, unless it was taken. */
export class SegmentRewrite implements AsyncDisposable {
  readonly segment: Segment
  readonly #files: FilePool
  readonly #places: (readonly [number, number])[] = []
  readonly #parts: Buffer[] = []
  #partBytes = 0
  #isTaken = false
  /** Something of the originals is not in it. */
  hasDropped = false

  constructor(
    base: number,
    file: {
      readonly path: string
      readonly files: FilePool
      readonly newest: number
      readonly rewrites: number
    },
  ) {
    this.segment = new Segment(base, { ...file, bytes: 0 }).startEmpty()
    this.#files = file.files
  }

  /** Base offsets of batches and where they begin, as the index keeps them. */
  get places(): readonly (readonly [number, number])[] {
    return this.#places
  }

  get sizeBytes(): number {
    return this.segment.bytes + this.#partBytes
  }

  /** A batch, or a record of one, stays away. */
  drop(): void {
    this.hasDropped = true
  }

  /** Adds what was kept of the batch with this header; its bytes must not change before `flush`. */
  add({ baseOffset, sizeBytes }: BatchHeader, batch: Buffer): void {
    if (batch.length < sizeBytes) this.hasDropped = true
    this.#place(baseOffset, batch.length)
    this.#append(batch)
  }

  /** Begins a batch that follows by `write`, whole. */
  begin({ baseOffset, sizeBytes }: BatchHeader): void {
    this.#place(baseOffset, sizeBytes)
  }

  /** Writes a part of the batch that was begun. */
  async write(part: Buffer): Promise<void> {
    this.#append(part)
    await this.flush()
  }

  /** Writes what was added. */
  async flush(): Promise<void> {
    if (this.#parts.length === 0) return
    const { segment } = this
    try {
      // A file of this name is what an attempt left that failed.
      if (segment.bytes === 0) await this.#remove()
      await segment.write(this.#parts, segment.bytes)
    } catch (error) {
      throw diskError(error, segment.path)
    }
    segment.bytes += this.#partBytes
    this.#parts.length = 0
    this.#partBytes = 0
  }

  /** Waits until the disk has it: its originals go next, so no crash may take it back. */
  async sync(): Promise<void> {
    if (this.segment.bytes === 0) return
    try {
      await this.segment.sync()
    } catch (error) {
      throw diskError(error, this.segment.path)
    }
  }

  /** It counts from now on; returns it, or undefined where nothing was kept. */
  take(): Segment | undefined {
    if (this.segment.bytes === 0) return undefined
    this.#isTaken = true
    return this.segment
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isTaken) await this.#remove()
  }

  #place(baseOffset: number, sizeBytes: number): void {
    const start = this.sizeBytes
    if (!needsPlace(start, sizeBytes, this.#places.at(-1)?.[1] ?? 0)) return
    this.#places.push([baseOffset, start])
    this.segment.addPlace(baseOffset, start)
  }

  /** Neighbours in one buffer go as one. */
  #append(part: Buffer): void {
    const last = this.#parts.at(-1)
    const follows =
      last?.buffer === part.buffer && last.byteOffset + last.length === part.byteOffset
    if (last !== undefined && follows) {
      const joined = Buffer.from(last.buffer, last.byteOffset, last.length + part.length)
      this.#parts[this.#parts.length - 1] = joined
    } else {
      this.#parts.push(part)
    }
    this.#partBytes += part.length
  }

  async #remove(): Promise<void> {
    await this.#files.drop(this.segment.path)
    await rm(this.segment.path, { force: true })
  }
}
