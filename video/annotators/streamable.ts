/**
 * Whether an mp4 can be decoded while it comes in. Its header (`moov`) says where each frame lies; a
 * file with the frames (`mdat`) before the header can only be decoded as a whole, and a decoder that
 * reads a pipe would swallow all of it to say so in the end. The first boxes tell at once.
 */

/** Looks at the first bytes of a video, as they come, for frames that stand before their header. */
export class StreamableCheck {
  #verdict: 'undecided' | 'streamable' | 'header-last' = 'undecided'
  /** Where the next box begins, counted in the stream. */
  #nextBox = 0
  #seen = 0
  /** What is known of the next box's first bytes, and how many have to be known. */
  #head: Buffer = Buffer.alloc(0)
  #wanted = HEAD_BYTES

  /** Takes the next bytes. False when it is sure that the header comes after the frames. */
  accepts(bytes: Buffer): boolean {
    let at = 0
    while (this.#verdict === 'undecided') {
      // No box is shorter than what is read of it, so the next one never lies behind.
      at = Math.max(at, this.#nextBox + this.#head.length - this.#seen)
      if (at >= bytes.length) break
      const part = bytes.subarray(at, at + this.#wanted - this.#head.length)
      this.#head = Buffer.concat([this.#head, part])
      at += part.length
      if (this.#head.length === this.#wanted) this.#take(this.#head)
    }
    this.#seen += bytes.length
    return this.#verdict !== 'header-last'
  }

  #take(head: Buffer): void {
    const short = head.readUInt32BE(0)
    if (short === 1 && head.length < LONG_HEAD_BYTES) {
      this.#wanted = LONG_HEAD_BYTES
      return
    }
    const type = head.toString('latin1', 4, 8)
    const size = short === 1 ? Number(head.readBigUInt64BE(8)) : short
    if (type === 'mdat') this.#verdict = 'header-last'
    // What is not skipped over is the header itself, a fragment, or no mp4 at all.
    else if (!SKIPPED.has(type) || size < head.length) this.#verdict = 'streamable'
    this.#nextBox += size
    this.#wanted = HEAD_BYTES
    this.#head = Buffer.alloc(0)
  }
}

/** A box's length and type. */
const HEAD_BYTES = 8
/** The same and the long form of the length. */
const LONG_HEAD_BYTES = 16

/** Boxes that may stand before the header. */
const SKIPPED: ReadonlySet<string> = new Set([
  'ftyp',
  'styp',
  'sidx',
  'pdin',
  'free',
  'skip',
  'wide',
  'uuid',
  'udta',
  'meta',
  'junk',
  'PICT',
  'pnot',
])
