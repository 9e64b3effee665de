/** What an app counts about itself: named numbers, by task and processor. */

/** One counter's value. */
export interface Counter {
  readonly task: string
  readonly processor: string
  readonly name: string
  readonly value: number
}

/** The counters of one app. */
export class Counters {
  readonly #values = new Map<string, { readonly labels: Omit<Counter, 'value'>; value: number }>()

  /** A function that adds to one counter; made once, called per record. */
  counter(labels: Omit<Counter, 'value'>): (amount?: number) => void {
    const key = `${labels.task}\0${labels.processor}\0${labels.name}`
    let entry = this.#values.get(key)
    if (entry === undefined) {
      entry = { labels, value: 0 }
      this.#values.set(key, entry)
    }
    const counted = entry
    return (amount = 1) => {
      counted.value += amount
    }
  }

  /** All counters as they stand. */
  read(): readonly Counter[] {
    return [...this.#values.values()].map(({ labels, value }) => ({ ...labels, value }))
  }

  /** The sum of the counters of one name, over all tasks and processors. */
  sum(name: string): number {
    let sum = 0
    for (const { labels, value } of this.#values.values()) if (labels.name === name) sum += value
    return sum
  }
}
