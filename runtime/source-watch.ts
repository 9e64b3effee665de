/**
 * Sources are looked up when an app starts, and its tasks follow from their partitions. A partition
 * that is added later would be read by nobody, and nobody would be told. So the sources are looked up
 * again from time to time; where there are more partitions than tasks the app ends, for what has to be
 * done depends on what it keeps: without state a new start takes them in, with state it refuses them.
 *
 * Taking them in while the app runs was rejected: a member of a group would assign tasks that others
 * do not know yet, and state is bound to the number that was there when it was begun.
 */
import { sleep, type Clock } from '../model/clock.ts'
import { MillraceError } from '../model/errors.ts'
import type { Topic } from '../model/position.ts'
import { untilAborted } from '../model/until-aborted.ts'
import type { Admin, TopicDescription } from '../transport/transport.ts'

/** What a watch is made of. */
export interface SourceWatchParts {
  readonly admin: Pick<Admin, 'describeTopics'>
  readonly sources: readonly Topic[]
  /** As it was when the app started. */
  readonly partitionsOf: (topic: Topic) => number
  readonly clock: Clock
  /** Time between two looks. */
  readonly intervalMs: number
  /** Called once. */
  readonly onAdded: (error: MillraceError) => void
}

/** Looks until it finds more partitions than there were, or is disposed of. */
export class SourceWatch implements AsyncDisposable {
  readonly #parts: SourceWatchParts
  readonly #over = new AbortController()
  readonly #watching: Promise<void>

  constructor(parts: SourceWatchParts) {
    this.#parts = parts
    // Rejects with the reason of its end alone.
    this.#watching = this.#watch().catch(() => {})
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort(new Error('the app has ended'))
    await this.#watching
  }

  async #watch(): Promise<void> {
    const { clock, intervalMs, onAdded } = this.#parts
    const { signal } = this.#over
    for (;;) {
      await sleep(clock, intervalMs, signal)
      const grown = await untilAborted(this.#look(), signal)
      if (grown !== undefined) return onAdded(this.#errorOf(grown))
    }
  }

  /** A source with more partitions than it had. A log that does not answer now is asked again; a topic that is gone is its reader's to tell. */
  async #look(): Promise<TopicDescription | undefined> {
    const { admin, sources, partitionsOf } = this.#parts
    const found = await admin.describeTopics(sources).catch(() => [])
    return found.find(({ topic, partitions }) => partitions > partitionsOf(topic))
  }

  #errorOf({ topic, partitions }: TopicDescription): MillraceError {
    const before = this.#parts.partitionsOf(topic)
    return new MillraceError(
      'MILLRACE_PARTITIONS_ADDED',
      `the topic ${topic} has ${partitions} partitions now and had ${before} when this app started: what comes in the new ones is read by nobody. ` +
        'Start all processes of the app again: without state they take the new partitions in from their first record; state is bound to the old number, and the start says how to go on.',
      { place: topic },
    )
  }
}
