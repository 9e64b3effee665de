/**
 * Doubt about a broker that does not answer. A broker that is halted, or cut off without a word, keeps
 * its connections open: the deadline of a request, which has to leave time for large answers on slow
 * lines, would hold its partitions back long after they are led elsewhere. So a late fetch asks how
 * things stand, and is given up as soon as the broker does not serve one of its partitions any more.
 */
import type { Timer } from '../../../model/clock.ts'
import type { TopicPartition } from '../../../model/position.ts'
import { TransportError } from '../../errors.ts'
import type { TopicMetadata } from '../api/metadata.ts'
import type { FetchCluster } from './fetch-cluster.ts'
import type { PartitionLeader } from '../cluster/metadata-cache.ts'

/** A partition that was asked for, and who led it then. */
export interface Awaited extends TopicPartition {
  readonly leader: PartitionLeader | undefined
}

/** What doubt needs. */
export interface DoubtSetting {
  readonly cluster: FetchCluster
  /** After how long it begins, and how often it asks. */
  readonly afterMs: number
  /** The broker that was asked. */
  readonly node: number
  readonly awaited: readonly Awaited[]
  readonly signal: AbortSignal
}

/** The doubt about one fetch, until it is disposed of. */
export class FetchDoubt implements Disposable {
  readonly #setting: DoubtSetting
  readonly #lost = Promise.withResolvers<never>()
  #timer: Timer | undefined
  #isOver = false

  constructor(setting: DoubtSetting) {
    this.#setting = setting
    this.#arm()
  }

  /** Rejects, with an error that may be tried again, where waiting longer is in vain. */
  get lost(): Promise<never> {
    return this.#lost.promise
  }

  [Symbol.dispose](): void {
    this.#isOver = true
    this.#timer?.cancel()
  }

  #arm(): void {
    const { cluster, afterMs } = this.#setting
    this.#timer = cluster.clock.timer(afterMs, () => void this.#ask())
  }

  /** Never rejects. */
  async #ask(): Promise<void> {
    const { cluster, awaited, signal, node } = this.#setting
    const names = [...new Set(awaited.map(({ topic }) => topic))]
    let topics: readonly TopicMetadata[] = []
    try {
      topics = await cluster.metadata.refresh(names, { signal })
    } catch {
      // Nobody can tell: the request has a deadline of its own.
    }
    if (this.#isOver) return
    if (awaited.some((one) => !isServed(one, topics, node))) this.#lost.reject(silent(node))
    else this.#arm()
  }
}

/** Whether `node` may still answer for the partition; true where that is not known. */
function isServed(
  { topic, partition, leader }: Awaited,
  topics: readonly TopicMetadata[],
  node: number,
): boolean {
  const found = topics
    .find((one) => one.topic === topic)
    ?.partitions.find((one) => one.partition === partition)
  if (found === undefined || found.leader < 0) return true
  return leader?.node === node ? found.leader === node : found.inSync.includes(node)
}

function silent(node: number): TransportError {
  return new TransportError('MILLRACE_KAFKA_TIMED_OUT', 'retriable', {
    message: `Broker ${node} does not answer, and what was asked of it is led elsewhere by now. That broker is asked; look at this one's load and at the way to it.`,
    place: `broker ${node}`,
  })
}
