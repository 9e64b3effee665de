/**
 * What is known of a cluster's brokers and topics, and how fresh it is.
 *
 * - An answer that knows an older leader epoch than was seen before is behind: it does not replace
 *   what is newer (KIP-320), unless the topic was created again.
 * - Questions for the same topics at the same time are one request.
 * - A topic that a broker does not know is asked for again a few times, since news of it may still be
 *   under way to that broker; a partition without a leader, for as long as the call may take.
 */
import type { Clock } from '../../../model/clock.ts'
import { describePartition, type TopicPartition } from '../../../model/position.ts'
import type { TransportError } from '../../errors.ts'
import { unknownPartition } from '../../log-errors.ts'
import type { Api } from '../api/api.ts'
import {
  METADATA,
  type BrokerEndpoint,
  type MetadataResponse,
  type PartitionMetadata,
  type TopicMetadata,
} from '../api/metadata.ts'
import { CODE, refused } from '../error-codes.ts'
import { withPatience, type KafkaLimits } from '../limits.ts'
import { noAnswer } from '../kafka-errors.ts'
import { SharedWork } from './shared-work.ts'
import { withinDeadline } from './within-deadline.ts'

/** Where a partition is led, and under which epoch and topic id that holds. */
export interface PartitionLeader {
  readonly node: number
  readonly leaderEpoch: number
  readonly topicId: string
}

/** How long a call may take. */
export interface CallOptions {
  /** Default `limits.callDeadlineMs`. */
  readonly deadlineMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** Asks any broker. `deadlineMs: Infinity` asks until the signal aborts. */
export type AskAnyBroker = <Q, R>(
  question: readonly [Api<Q, R>, Q],
  options: CallOptions,
) => Promise<R>

/** What a cache needs of its cluster, beside the brokers that it asks. */
export interface CacheSetting {
  readonly clock: Clock
  readonly limits: KafkaLimits
  /** Why there is no connection to any broker just now; undefined where there is one. */
  readonly trouble?: TransportError | undefined
}

interface KnownTopic {
  readonly topic: TopicMetadata
  readonly atMs: number
  /** Set where what is known has turned out to be wrong. */
  isStale: boolean
}

/** The cache of one cluster. */
export class MetadataCache {
  readonly #setting: CacheSetting
  readonly #clock: Clock
  readonly #limits: KafkaLimits
  readonly #ask: AskAnyBroker
  readonly #topics = new Map<string, KnownTopic>()
  readonly #asking = new Map<string, SharedWork<MetadataResponse>>()
  #brokers: ReadonlyMap<number, BrokerEndpoint> = new Map()
  #clusterId: string | null = null

  constructor(ask: AskAnyBroker, setting: CacheSetting) {
    this.#ask = ask
    this.#setting = setting
    this.#clock = setting.clock
    this.#limits = setting.limits
  }

  /** The brokers of the last answer. */
  get brokers(): readonly BrokerEndpoint[] {
    return [...this.#brokers.values()]
  }

  get clusterId(): string | null {
    return this.#clusterId
  }

  broker(node: number): BrokerEndpoint | undefined {
    return this.#brokers.get(node)
  }

  /** Who leads a partition, from memory; undefined where that is not known, too old, or was found wrong. */
  known(at: TopicPartition): PartitionLeader | undefined {
    const known = this.#fresh(at.topic)
    return known === undefined ? undefined : leaderIn(known, at.partition)
  }

  /**
   * Who leads a partition. Waits for a leader where there is none. Rejects with
   * MILLRACE_UNKNOWN_PARTITION (fatal), or what kept the answer away.
   */
  async leader(at: TopicPartition, options: CallOptions = {}): Promise<PartitionLeader> {
    return await this.#patiently(options, async (leftMs) => {
      const topic = await this.topic(at.topic, { ...options, deadlineMs: leftMs })
      if (!hasPartition(topic, at.partition)) throw unknownPartition(at)
      const leader = leaderIn(topic, at.partition)
      if (leader !== undefined) return leader
      this.invalidate(at)
      throw withoutLeader(at)
    })
  }

  /** A topic, or undefined where there is none. From memory where that is fresh. */
  async topic(name: string, options: CallOptions = {}): Promise<TopicMetadata | undefined> {
    const known = this.#fresh(name)
    if (known !== undefined) return known
    const end = this.#clock.monotonic() + this.#limits.unknownTopicPatienceMs
    return await this.#patiently(options, async (leftMs) => {
      const [topic] = await this.refresh([name], { ...options, deadlineMs: leftMs })
      const code = topic?.errorCode ?? CODE.unknownTopicOrPartition
      if (topic !== undefined && isUsable(topic)) return topic
      const isUnknown = code === CODE.unknownTopicOrPartition || code === CODE.unknownTopicId
      if (isUnknown && this.#clock.monotonic() >= end) return undefined
      throw refused(code, { api: METADATA.name, place: `topic ${name}` })
    })
  }

  /** Asks now for these topics, or for all; what is answered is kept. The answer has the topics' error codes. */
  async refresh(
    names: readonly string[] | null,
    options: CallOptions = {},
  ): Promise<readonly TopicMetadata[]> {
    const { deadlineMs = this.#limits.callDeadlineMs, signal } = options
    const answer = this.#question(names)
    const late = (): Error => this.#setting.trouble ?? noAnswer(METADATA.name, deadlineMs)
    const deadline = { clock: this.#clock, deadlineMs, signal, late }
    const { topics } = await withinDeadline(deadline, (own) => answer.wait(own))
    return topics
  }

  /** One question for all who ask the same meanwhile: neither the signal nor the deadline of one ends it for others. */
  #question(names: readonly string[] | null): SharedWork<MetadataResponse> {
    const question = names === null ? '*' : names.toSorted().join()
    const asking = this.#asking.get(question)
    if (asking !== undefined && !asking.isOver) return asking
    const begun = new SharedWork(async (end) => {
      const options = { deadlineMs: Number.POSITIVE_INFINITY, signal: end }
      return this.learn(await this.#ask([METADATA, { topics: names }], options))
    })
    this.#asking.set(question, begun)
    const forget = (): void => {
      if (this.#asking.get(question) === begun) this.#asking.delete(question)
    }
    begun.result.then(forget, forget)
    return begun
  }

  /** Takes in an answer of whichever broker. */
  learn(answer: MetadataResponse): MetadataResponse {
    this.#brokers = new Map(answer.brokers.map((broker) => [broker.nodeId, broker]))
    this.#clusterId = answer.clusterId
    for (const topic of answer.topics) {
      if (isUsable(topic)) this.#keep(topic)
      else if (topic.errorCode === CODE.unknownTopicOrPartition) this.#topics.delete(topic.topic)
    }
    return answer
  }

  /** What is known of a partition's leader is wrong; where `leaderEpoch` is given, only if nothing newer is known. */
  invalidate(at: TopicPartition, leaderEpoch?: number): void {
    const known = this.#topics.get(at.topic)
    if (known === undefined) return
    const epoch = leaderIn(known.topic, at.partition)?.leaderEpoch ?? -1
    if (leaderEpoch === undefined || epoch <= leaderEpoch) known.isStale = true
  }

  /** Forgets a topic, which was deleted or may have been created again. */
  forget(topic: string): void {
    this.#topics.delete(topic)
  }

  #fresh(name: string): TopicMetadata | undefined {
    const known = this.#topics.get(name)
    if (known === undefined || known.isStale) return undefined
    const ageMs = this.#clock.monotonic() - known.atMs
    return ageMs < this.#limits.metadataMaxAgeMs ? known.topic : undefined
  }

  #keep(topic: TopicMetadata): void {
    const before = this.#topics.get(topic.topic)
    const isSame = before?.topic.topicId === topic.topicId
    const merged = isSame ? { ...topic, partitions: newest(before.topic, topic) } : topic
    this.#topics.set(topic.topic, { topic: merged, atMs: this.#clock.monotonic(), isStale: false })
  }

  async #patiently<T>(
    { deadlineMs = this.#limits.callDeadlineMs, signal }: CallOptions,
    attempt: (leftMs: number) => Promise<T>,
  ): Promise<T> {
    const patience = { clock: this.#clock, limits: this.#limits, deadlineMs, signal }
    return await withPatience(patience, attempt)
  }
}

function isUsable({ errorCode }: TopicMetadata): boolean {
  return errorCode === CODE.none || errorCode === CODE.leaderNotAvailable
}

function hasPartition(topic: TopicMetadata | undefined, partition: number): boolean {
  return topic?.partitions.some((one) => one.partition === partition) === true
}

function leaderIn(
  topic: TopicMetadata | undefined,
  partition: number,
): PartitionLeader | undefined {
  const found = topic?.partitions.find((one) => one.partition === partition)
  if (topic === undefined || found === undefined || found.leader < 0) return undefined
  return { node: found.leader, leaderEpoch: found.leaderEpoch, topicId: topic.topicId }
}

/** The partitions of `now`, but for those of which `before` knows a later leader epoch. */
function newest(before: TopicMetadata, now: TopicMetadata): readonly PartitionMetadata[] {
  const earlier = new Map(before.partitions.map((one) => [one.partition, one]))
  return now.partitions.map((one) => {
    const known = earlier.get(one.partition)
    return known !== undefined && known.leaderEpoch > one.leaderEpoch ? known : one
  })
}

function withoutLeader(at: TopicPartition): TransportError {
  return refused(CODE.leaderNotAvailable, { api: METADATA.name, place: describePartition(at) })
}
