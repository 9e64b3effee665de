/**
 * Repartition topics keep nothing that their application has read: retention does not end them, so
 * what was committed is deleted from time to time. Beside the loop, and never ahead of a commit: a
 * record that is gone before its offset is committed would be lost. A log that fails to delete now is
 * asked again after a later commit.
 */
import type { Clock } from '../model/clock.ts'
import { asError } from '../model/errors.ts'
import type { PartitionOffset } from '../model/position.ts'
import type { Admin } from '../transport/transport.ts'

/** What a purge is made of. */
export interface RepartitionPurgeParts {
  readonly admin: Pick<Admin, 'deleteRecords'>
  /** The application's repartition topics. */
  readonly topics: ReadonlySet<string>
  readonly clock: Clock
  /** Shortest time between two deletions. */
  readonly intervalMs: number
  readonly onNotice: (message: string) => void
}

/** The purge of one commit unit's inputs. */
export class RepartitionPurge implements AsyncDisposable {
  readonly #parts: RepartitionPurgeParts
  #lastMs: number
  #running: Promise<void> | undefined

  constructor(parts: RepartitionPurgeParts) {
    this.#parts = parts
    this.#lastMs = parts.clock.monotonic()
  }

  /** Told where a commit has brought the unit's inputs; deletes what lies before, if it is time. */
  committed(offsets: readonly PartitionOffset[]): void {
    const { topics, clock, intervalMs } = this.#parts
    if (topics.size === 0 || this.#running !== undefined) return
    const now = clock.monotonic()
    if (now - this.#lastMs < intervalMs) return
    this.#lastMs = now
    const read = offsets
      .filter(({ topic, offset }) => topics.has(topic) && offset > 0)
      .map(({ topic, partition, offset }) => ({ topic, partition, offset }))
    if (read.length > 0)
      this.#running = this.#delete(read).finally(() => (this.#running = undefined))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running
  }

  async #delete(read: readonly PartitionOffset[]): Promise<void> {
    const { admin, onNotice } = this.#parts
    try {
      await admin.deleteRecords(read)
    } catch (error) {
      onNotice(
        `what was read of the repartition topics could not be deleted now: ${asError(error).message}`,
      )
    }
  }
}
