/**
 * Which of many waiting things is the oldest: a binary min-heap of (timestamp, id) where removal only
 * marks, and marked entries are passed over when they come to the top. Both costs are O(log n)
 * amortized. (An ordered store range would answer too, but only asynchronously.) One thing that waits
 * for hours at the top would keep all that came and went behind it: where more than half of the heap
 * is marked it is built anew.
 */

/** Heaps up to this size are not built anew. */
const SMALL_HEAP = 64

interface Entry<Id> {
  readonly timestamp: number
  readonly order: number
  readonly id: Id
}

/** Ids by the timestamps they came with; those of equal timestamps by `compareIds`, which is in the order they were added unless given. */
export class TimestampQueue<Id> {
  #heap: Entry<Id>[] = []
  readonly #compareIds: (a: Id, b: Id) => number
  readonly #present = new Map<Id, Entry<Id>>()
  #added = 0

  constructor(compareIds: (a: Id, b: Id) => number = () => 0) {
    this.#compareIds = compareIds
  }

  /** Adds an id; one that is there already moves to the new timestamp. */
  add(id: Id, timestamp: number): void {
    const entry = { timestamp, order: this.#added, id }
    this.#added += 1
    this.#present.set(id, entry)
    this.#heap.push(entry)
    this.#rise(this.#heap.length - 1)
    if (this.#heap.length > SMALL_HEAP && this.#heap.length > 2 * this.#present.size)
      this.#rebuild()
  }

  /** Removes an id, if it is there. */
  remove(id: Id): void {
    this.#present.delete(id)
  }

  /** The timestamp of the oldest id; undefined where there is none. */
  get oldest(): number | undefined {
    return this.#top()?.timestamp
  }

  /** Removes and returns the oldest id if its timestamp is below `limit`. */
  takeBefore(limit: number): Id | undefined {
    const top = this.#top()
    if (top === undefined || top.timestamp >= limit) return undefined
    this.#present.delete(top.id)
    return top.id
  }

  get size(): number {
    return this.#present.size
  }

  /** Entries in memory, marked ones included. */
  get heapSize(): number {
    return this.#heap.length
  }

  #rebuild(): void {
    // A sorted array is a heap.
    this.#heap = [...this.#present.values()].toSorted((a, b) => this.#compare(a, b))
  }

  #top(): Entry<Id> | undefined {
    for (;;) {
      const top = this.#heap[0]
      if (top === undefined || this.#present.get(top.id) === top) return top
      this.#dropTop()
    }
  }

  #dropTop(): void {
    const last = this.#heap.pop()
    if (last === undefined || this.#heap.length === 0) return
    this.#heap[0] = last
    this.#sink(0)
  }

  #rise(index: number): void {
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!this.#isBefore(index, parent)) return
      this.#swap(index, parent)
      index = parent
    }
  }

  #sink(index: number): void {
    for (;;) {
      const left = 2 * index + 1
      const right = left + 1
      let first = index
      if (left < this.#heap.length && this.#isBefore(left, first)) first = left
      if (right < this.#heap.length && this.#isBefore(right, first)) first = right
      if (first === index) return
      this.#swap(index, first)
      index = first
    }
  }

  #isBefore(a: number, b: number): boolean {
    return this.#compare(this.#heap[a] as Entry<Id>, this.#heap[b] as Entry<Id>) < 0
  }

  #compare(a: Entry<Id>, b: Entry<Id>): number {
    return a.timestamp - b.timestamp || this.#compareIds(a.id, b.id) || a.order - b.order
  }

  #swap(a: number, b: number): void {
    const held = this.#heap[a] as Entry<Id>
    this.#heap[a] = this.#heap[b] as Entry<Id>
    this.#heap[b] = held
  }
}
