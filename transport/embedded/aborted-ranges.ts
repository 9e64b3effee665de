/** The aborted transactions of a partition, by producer: the records of one that lie in a range count for nothing. */
export class AbortedRanges {
  /** First and last offsets, ascending: a producer has one transaction at a time. */
  readonly #ranges = new Map<number, { readonly firsts: number[]; readonly lasts: number[] }>()

  /** Adds a range. Those of one producer come in ascending order. */
  add(producerId: number, first: number, last: number): void {
    const ranges = this.#ranges.get(producerId) ?? { firsts: [], lasts: [] }
    ranges.firsts.push(first)
    ranges.lasts.push(last)
    this.#ranges.set(producerId, ranges)
  }

  /** The ranges that lie wholly before an offset, as producer id and first offset. */
  before(offset: number): readonly (readonly [producerId: number, first: number])[] {
    return [...this.#ranges].flatMap(([producerId, { firsts, lasts }]) =>
      firsts.slice(0, countBefore(lasts, offset)).map((first) => [producerId, first] as const),
    )
  }

  /** Forgets what `before` answered, because nothing of it is in the log any more. */
  forgetBefore(offset: number): void {
    for (const [producerId, { firsts, lasts }] of this.#ranges) {
      const count = countBefore(lasts, offset)
      firsts.splice(0, count)
      lasts.splice(0, count)
      if (firsts.length === 0) this.#ranges.delete(producerId)
    }
  }

  /** Whether the producer's transactional record at this offset was aborted. */
  has(producerId: number, offset: number): boolean {
    const ranges = this.#ranges.get(producerId)
    if (ranges === undefined) return false
    let low = 0
    let high = ranges.firsts.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((ranges.firsts[middle] ?? 0) <= offset) low = middle + 1
      else high = middle
    }
    return low > 0 && offset <= (ranges.lasts[low - 1] ?? -1)
  }
}

/** How many of these ascending numbers are below `limit`. */
function countBefore(ascending: readonly number[], limit: number): number {
  const index = ascending.findIndex((each) => each >= limit)
  return index < 0 ? ascending.length : index
}
