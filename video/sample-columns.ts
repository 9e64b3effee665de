/** Frames of a video as columns of numbers that grow: for containers that do not say at their beginning how many there are. */

/** One frame, in the order of decoding. */
export interface SampleRow {
  /** Of its first byte. */
  readonly offset: number
  readonly sizeBytes: number
  /** When it is shown, ticks. */
  readonly time: number
  /** To the next one in decode order, ticks. */
  readonly duration: number
  readonly keyframe: boolean
}

/** Columns of one length each, to the end of which rows are added. */
export class SampleColumns {
  #count = 0
  #offsets = new Float64Array(FIRST_ROWS)
  #sizes = new Uint32Array(FIRST_ROWS)
  #times = new Float64Array(FIRST_ROWS)
  #durations = new Uint32Array(FIRST_ROWS)
  #sync = new Uint8Array(FIRST_ROWS)

  /** How many rows there are. */
  get count(): number {
    return this.#count
  }

  /** Adds a row. */
  add({ offset, sizeBytes, time, duration, keyframe }: SampleRow): void {
    if (this.#count === this.#offsets.length) this.#grow()
    this.#offsets[this.#count] = offset
    this.#sizes[this.#count] = sizeBytes
    this.#times[this.#count] = time
    this.#durations[this.#count] = duration
    this.#sync[this.#count] = keyframe ? 1 : 0
    this.#count += 1
  }

  /** The columns, cut to the rows that are there. */
  finish(): {
    readonly count: number
    readonly offsets: Float64Array
    readonly sizes: Uint32Array
    readonly times: Float64Array
    readonly durations: Uint32Array
    readonly sync: Uint8Array
  } {
    const count = this.#count
    return {
      count,
      offsets: this.#offsets.subarray(0, count),
      sizes: this.#sizes.subarray(0, count),
      times: this.#times.subarray(0, count),
      durations: this.#durations.subarray(0, count),
      sync: this.#sync.subarray(0, count),
    }
  }

  #grow(): void {
    const rows = 2 * this.#offsets.length
    this.#offsets = copied(new Float64Array(rows), this.#offsets)
    this.#sizes = copied(new Uint32Array(rows), this.#sizes)
    this.#times = copied(new Float64Array(rows), this.#times)
    this.#durations = copied(new Uint32Array(rows), this.#durations)
    this.#sync = copied(new Uint8Array(rows), this.#sync)
  }
}

const FIRST_ROWS = 1024

function copied<T extends Float64Array | Uint32Array | Uint8Array>(target: T, from: T): T {
  target.set(from)
  return target
}
