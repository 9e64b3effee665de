/** Reads the fields of one mp4 box in order, and says which box is too short where they leave it. */
import { corrupt, type Box, type BoxBytes } from './mp4-boxes.ts'

/** A full box (one with version and flags) and a place in it. Every read throws MILLRACE_VIDEO_CORRUPT beyond its end. */
export class BoxFields {
  readonly version: number
  /** 24 bits. */
  readonly flags: number
  readonly #file: BoxBytes
  readonly #box: Box
  #at: number

  constructor(file: BoxBytes, box: Box) {
    this.#file = file
    this.#box = box
    this.#at = box.bodyStart
    const head = this.uint32()
    this.version = head >>> 24
    this.flags = head & 0xffffff
  }

  uint32(): number {
    return this.#file.bytes.readUInt32BE(this.take(4))
  }

  int32(): number {
    return this.#file.bytes.readInt32BE(this.take(4))
  }

  /** Exact up to 2^53. */
  uint64(): number {
    return Number(this.#file.bytes.readBigUInt64BE(this.take(8)))
  }

  /** Skips `length` bytes and gives where they begin. */
  take(length: number): number {
    const at = this.#at
    if (at + length > this.#box.end) {
      throw corrupt(this.#file.place, `a box ${this.#box.type} is too short for what it holds`)
    }
    this.#at = at + length
    return at
  }
}
