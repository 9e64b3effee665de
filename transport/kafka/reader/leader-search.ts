/**
 * How a reader's cursors come to the broker that leads their partition, again after every move.
 *
 * All that search at one time share one question. What is only late (a leader being elected, a broker
 * that is starting) is asked for again for as long as the cursor is open, at growing intervals: a
 * reader has nothing better to do. Only a topic that stays unknown for a named time does not exist,
 * and one that has another id than before was created again: it holds other records.
 */
import { asError } from '../../../model/errors.ts'
import { topicMadeAnew, unknownPartition } from '../../log-errors.ts'
import type { TopicMetadata } from '../api/metadata.ts'
import { METADATA } from '../api/metadata.ts'
import { CODE, errorKind, refused } from '../error-codes.ts'
import type { FetchCluster } from './fetch-cluster.ts'
import type { FetchLimits } from './fetch-limits.ts'
import type { KafkaCursor } from './kafka-cursor.ts'
import { isRetriable, retryDelayMs } from '../limits.ts'
import type { PartitionLeader } from '../cluster/metadata-cache.ts'

/** Who searches. */
export interface SearchSetting {
  readonly cluster: FetchCluster
  readonly limits: FetchLimits
  /** Aborts when the reader closes. */
  readonly signal: AbortSignal
  /** The cursor may be fetched now, or has failed. */
  readonly onSettled: (cursor: KafkaCursor) => void
}

/** The search of one reader. */
export class LeaderSearch {
  readonly #setting: SearchSetting
  #wanted = new Set<KafkaCursor>()
  #isAsking = false

  constructor(setting: SearchSetting) {
    this.#setting = setting
  }

  /** Finds the leader, from memory where it is known. */
  locate(cursor: KafkaCursor): void {
    if (cursor.state === 'stopped') return
    cursor.state = 'locating'
    const known = this.#setting.cluster.metadata.known(cursor)
    if (known !== undefined) {
      this.#found(cursor, known)
      return
    }
    this.#wanted.add(cursor)
    if (!this.#isAsking) void this.#ask()
  }

  /** What is known of the leader was wrong: finds it anew, after a rest. */
  relocate(cursor: KafkaCursor): void {
    this.#setting.cluster.metadata.invalidate(cursor, cursor.leader?.leaderEpoch)
    cursor.replica = undefined
    this.rest(cursor, () => this.locate(cursor))
  }

  /** Tries again after a delay that grows with each retry: by default what it tried last. */
  rest(cursor: KafkaCursor, again = () => this.#ready(cursor)): void {
    if (cursor.state === 'stopped') return
    const { cluster, limits } = this.#setting
    const delayMs = retryDelayMs({ clock: cluster.clock, limits }, cursor.retries)
    cursor.retries += 1
    cursor.state = 'resting'
    cursor.rest = cluster.clock.timer(delayMs, () => {
      cursor.rest = undefined
      if (cursor.state === 'resting') again()
    })
  }

  /** Never rejects. */
  async #ask(): Promise<void> {
    const { cluster, signal } = this.#setting
    this.#isAsking = true
    // Cursors that are opened one after the other are asked for together.
    await Promise.resolve()
    while (this.#wanted.size > 0 && !signal.aborted) {
      const asked = [...this.#wanted]
      this.#wanted = new Set()
      const topics = [...new Set(asked.map(({ topic }) => topic))]
      try {
        const answers = await cluster.metadata.refresh(topics, { signal })
        for (const cursor of asked) {
          this.#judge(
            cursor,
            answers.find(({ topic }) => topic === cursor.topic),
          )
        }
      } catch (error) {
        for (const cursor of asked) this.#refused(cursor, asError(error))
      }
    }
    this.#isAsking = false
  }

  #judge(cursor: KafkaCursor, topic: TopicMetadata | undefined): void {
    if (cursor.state !== 'locating') return
    const code = topic?.errorCode ?? CODE.unknownTopicOrPartition
    const known = this.#setting.cluster.metadata.known(cursor)
    const exists =
      topic?.partitions.some(({ partition }) => partition === cursor.partition) === true
    if (code === CODE.none && exists && known !== undefined) this.#found(cursor, known)
    else if (UNKNOWN.has(code) || (code === CODE.none && !exists)) this.#unknown(cursor)
    else if (code === CODE.none || errorKind(code) === 'retriable') this.relocate(cursor)
    else this.#fail(cursor, refused(code, { api: METADATA.name, place: `topic ${cursor.topic}` }))
  }

  #found(cursor: KafkaCursor, leader: PartitionLeader): void {
    const id = cursor.knownTopicId ?? leader.topicId
    if (id !== leader.topicId) {
      this.#fail(cursor, topicMadeAnew(cursor))
      return
    }
    cursor.unknownSinceMs = undefined
    cursor.leader = leader
    this.#ready(cursor)
  }

  #unknown(cursor: KafkaCursor): void {
    const { cluster, limits } = this.#setting
    const nowMs = cluster.clock.monotonic()
    cursor.unknownSinceMs ??= nowMs
    if (nowMs - cursor.unknownSinceMs >= limits.unknownTopicMs) {
      this.#fail(cursor, unknownPartition(cursor))
    } else this.relocate(cursor)
  }

  #refused(cursor: KafkaCursor, error: Error): void {
    if (this.#setting.signal.aborted || cursor.state !== 'locating') return
    if (isRetriable(error)) this.relocate(cursor)
    else this.#fail(cursor, error)
  }

  #ready(cursor: KafkaCursor): void {
    cursor.state = 'ready'
    this.#setting.onSettled(cursor)
  }

  #fail(cursor: KafkaCursor, error: Error): void {
    cursor.fail(error)
    this.#setting.onSettled(cursor)
  }
}

const UNKNOWN: ReadonlySet<number> = new Set([
  CODE.unknownTopicOrPartition,
  CODE.unknownTopicId,
  CODE.inconsistentTopicId,
])
