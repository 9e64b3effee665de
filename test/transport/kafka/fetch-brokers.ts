/**
 * A pretended cluster behind the seam that a reader has: metadata that may be out of date, lanes on
 * which each broker answers one request after the other, fetch sessions with all their rules, waits
 * for news, and faults that a test switches on. Everything takes time of the clock that it is given.
 */
import type { Clock } from '../../../model/clock.ts'
import { sleep } from '../../../model/clock.ts'
import type { TopicPartition } from '../../../model/position.ts'
import type { Api } from '../../../transport/kafka/api/api.ts'
import type {
  FetchRequest,
  FetchResponse,
  FetchedPartition,
} from '../../../transport/kafka/api/fetch.ts'
import type {
  ListOffsetsRequest,
  ListOffsetsResponse,
} from '../../../transport/kafka/api/list-offsets.ts'
import { EARLIEST } from '../../../transport/kafka/api/list-offsets.ts'
import type { TopicMetadata } from '../../../transport/kafka/api/metadata.ts'
import type {
  OffsetForLeaderEpochRequest,
  OffsetForLeaderEpochResponse,
} from '../../../transport/kafka/api/offset-for-leader-epoch.ts'
import type { RequestOptions } from '../../../transport/kafka/cluster/broker-connection.ts'
import { CODE } from '../../../transport/kafka/error-codes.ts'
import type { FetchCluster, FetchLane } from '../../../transport/kafka/reader/fetch-cluster.ts'
import type { AskedPartition } from '../../../transport/kafka/reader/fetch-session.ts'
import { brokerUnreachable } from '../../../transport/kafka/kafka-errors.ts'
import type { PartitionLeader } from '../../../transport/kafka/cluster/metadata-cache.ts'
import { unknownPartition } from '../../../transport/log-errors.ts'
import type { FetchLog } from './fetch-log.ts'

/** A request as a broker got it. */
export interface SeenFetch {
  readonly node: number
  readonly purpose: string
  readonly request: FetchRequest
}

/** What may go wrong, by chance. */
export interface Faults {
  /** A request that reaches nobody. */
  readonly lost: number
  /** An answer that does not come back. */
  readonly unanswered: number
  /** A broker that forgets a session, or has no room for one. */
  readonly forgets: number
  /** Largest delay of a request, and of its answer. */
  readonly delayMs: number
}

const NO_FAULTS: Faults = { lost: 0, unanswered: 0, forgets: 0, delayMs: 0 }

interface Session {
  readonly node: number
  epoch: number
  readonly partitions: Map<string, AskedPartition>
  readonly told: Map<string, string>
}

export class FetchBrokers implements FetchCluster {
  readonly clock: Clock
  readonly logs: FetchLog[] = []
  /** Every fetch, in the order in which brokers answered. */
  readonly seen: SeenFetch[] = []
  /** All that is not a fetch, by name. */
  readonly questions: string[] = []
  /** Called before one of those is answered. */
  onQuestion: () => void = () => {}
  /** So many fetches are answered with nothing: a client that reads faster than its quota is put off. */
  throttled = 0
  /** The most requests that one connection of the readers' sessions had at a time. */
  mostAtOnce = 0
  faults: Faults = NO_FAULTS
  /** Brokers that keep their connections and answer nothing. */
  readonly halted = new Set<number>()
  readonly #sessions = new Map<number, Session>()
  readonly #known = new Map<string, PartitionLeader>()
  readonly #changed = new Set<() => void>()
  #nextSession = 1
  #openLanes = 0

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** Lanes that are not closed. */
  get openLanes(): number {
    return this.#openLanes
  }

  /** Fetches of sessions. */
  get fetches(): readonly SeenFetch[] {
    return this.seen.filter(({ purpose }) => purpose === 'fetch')
  }

  /** Lets the fetches that wait for news look again. */
  notify(): void {
    for (const wake of this.#changed) wake()
  }

  /** Brokers forget all sessions. */
  forgetSessions(): void {
    this.#sessions.clear()
  }

  readonly metadata: FetchCluster['metadata'] = {
    known: (at) => this.#known.get(nameOf(at)),
    invalidate: (at) => void this.#known.delete(nameOf(at)),
    leader: async (at, { signal }) => {
      for (;;) {
        await this.#travel(signal)
        const log = this.#find(at)
        if (log === undefined) throw unknownPartition(at)
        this.#learn(log)
        const known = this.#known.get(nameOf(at))
        if (known !== undefined) return known
      }
    },
    refresh: async (topics, { signal }) => {
      await this.#travel(signal)
      return topics.map((topic) => this.#describe(topic))
    },
  }

  openLane(purpose: string): FetchLane {
    this.#openLanes += 1
    const turns = new Map<number, Promise<unknown>>()
    const atOnce = new Map<number, number>()
    return {
      request: async (node, [api, request], options) => {
        const count = (atOnce.get(node) ?? 0) + 1
        atOnce.set(node, count)
        if (purpose === 'fetch') this.mostAtOnce = Math.max(this.mostAtOnce, count)
        const before = turns.get(node) ?? Promise.resolve()
        const own = before
          .catch(() => {})
          .then(async () => await this.#serve({ node, purpose }, [api, request], options))
        turns.set(node, own)
        try {
          return await own
        } finally {
          atOnce.set(node, (atOnce.get(node) ?? 1) - 1)
        }
      },
    }
  }

  async closeLane(): Promise<void> {
    this.#openLanes -= 1
    await Promise.resolve()
  }

  async #serve<Q, R>(
    at: { readonly node: number; readonly purpose: string },
    [api, request]: readonly [Api<Q, R>, Q],
    options: RequestOptions,
  ): Promise<R> {
    const { signal } = options
    await this.#travel(signal)
    if (this.#chance(this.faults.lost)) throw unreachable()
    while (this.halted.has(at.node)) await this.#change(Number.MAX_SAFE_INTEGER, signal)
    const answer = await this.#answer(at, [api, request], options)
    await this.#travel(signal)
    if (this.#chance(this.faults.unanswered)) throw unreachable()
    return answer as R
  }

  async #answer<Q, R>(
    at: { readonly node: number; readonly purpose: string },
    [api, request]: readonly [Api<Q, R>, Q],
    options: RequestOptions,
  ): Promise<unknown> {
    if (api.name !== 'Fetch') {
      this.questions.push(api.name)
      this.onQuestion()
    }
    switch (api.name) {
      case 'Fetch':
        return await this.#fetch(at, request as FetchRequest, options)
      case 'ListOffsets':
        return this.#list(at.node, request as ListOffsetsRequest)
      case 'OffsetForLeaderEpoch':
        return this.#epochs(at.node, request as OffsetForLeaderEpochRequest)
      default:
        throw new TypeError(`a reader does not send ${api.name}`)
    }
  }

  async #fetch(
    { node, purpose }: { readonly node: number; readonly purpose: string },
    request: FetchRequest,
    { signal, buffer }: RequestOptions,
  ): Promise<FetchResponse> {
    this.seen.push({ node, purpose, request })
    if (this.throttled > 0) {
      this.throttled -= 1
      return { ...answerOf(CODE.none, 0, []), throttleTimeMs: 100 }
    }
    if (this.#chance(this.faults.forgets)) this.#sessions.delete(request.sessionId)
    const opened = this.#session(node, request)
    if (typeof opened === 'number') return answerOf(opened, 0, [])
    const { id, asked, session } = opened
    const end = this.clock.monotonic() + request.maxWaitMs
    for (;;) {
      const parts = this.#read({ node, request, asked })
      const told =
        session === undefined ? parts : parts.filter((part) => this.#isNews(session, part))
      const isDone = told.some(({ records, errorCode, divergingEpoch, preferredReplica }) => {
        const isAnswer = records !== null || preferredReplica >= 0
        return isAnswer || errorCode !== CODE.none || divergingEpoch !== undefined
      })
      if (isDone || this.clock.monotonic() >= end) {
        if (session !== undefined) rotate(session, told)
        return answerOf(CODE.none, id, packed(told, buffer))
      }
      await this.#change(end - this.clock.monotonic(), signal)
    }
  }

  /** What the request asks for, by the rules of sessions; or an error of the session. */
  #session(node: number, request: FetchRequest) {
    const asked = request.topics.flatMap(({ topic, topicId, partitions }) =>
      partitions.map((partition) => ({ topic, topicId, ...partition })),
    )
    if (request.sessionEpoch === -1) return { id: 0, asked, session: undefined }
    if (request.sessionEpoch === 0) {
      this.#sessions.delete(request.sessionId)
      if (this.#chance(this.faults.forgets)) return { id: 0, asked, session: undefined }
      const id = this.#nextSession
      this.#nextSession += 1
      const partitions = new Map(asked.map((one) => [keyOf(one), one]))
      const session: Session = { node, epoch: 1, partitions, told: new Map() }
      this.#sessions.set(id, session)
      return { id, asked, session }
    }
    const session = this.#sessions.get(request.sessionId)
    if (session?.node !== node) return CODE.fetchSessionIdNotFound
    if (session.epoch !== request.sessionEpoch) return CODE.invalidFetchSessionEpoch
    session.epoch += 1
    for (const one of asked) session.partitions.set(keyOf(one), one)
    for (const { topicId, partitions } of request.forgotten) {
      for (const partition of partitions) {
        session.partitions.delete(keyOf({ topicId, partition }))
        session.told.delete(keyOf({ topicId, partition }))
      }
    }
    return { id: request.sessionId, asked: [...session.partitions.values()], session }
  }

  #read({
    node,
    request,
    asked,
  }: {
    readonly node: number
    readonly request: FetchRequest
    readonly asked: readonly AskedPartition[]
  }): readonly FetchedPartition[] {
    let leftBytes = request.maxBytes
    let isFirst = true
    return asked.map((one) => {
      const log = this.logs.find(
        ({ topicId, partition }) => topicId === one.topicId && partition === one.partition,
      )
      if (log === undefined) return missing(one)
      const isCommitted = request.isolation === 1
      const bounds = { isCommitted, maxBytes: leftBytes, isFirst, rack: request.rack }
      const part = log.fetch(one, node, bounds)
      const sizeBytes = part.records?.length ?? 0
      leftBytes = Math.max(0, leftBytes - sizeBytes)
      if (sizeBytes > 0) isFirst = false
      return part
    })
  }

  /** Within a session a broker tells only what is new. */
  #isNews(session: Session, part: FetchedPartition): boolean {
    return (
      part.records !== null ||
      part.preferredReplica >= 0 ||
      part.errorCode !== CODE.none ||
      part.divergingEpoch !== undefined ||
      session.told.get(keyOf(part)) !== endsOf(part)
    )
  }

  #list(node: number, { topics }: ListOffsetsRequest): ListOffsetsResponse {
    const partitions = topics.flatMap(({ topic, partitions: asked }) =>
      asked.map(({ partition, timestamp }) => {
        const log = this.logs.find((one) => one.topic === topic && one.partition === partition)
        const isFirst = timestamp === EARLIEST
        const isKnown = isFirst || log?.isBehindItsEpoch !== true
        const own = isKnown ? CODE.none : CODE.offsetNotAvailable
        return {
          topic,
          partition,
          errorCode: log?.leader === node ? own : CODE.notLeaderOrFollower,
          timestamp: -1,
          offset: (isFirst ? log?.start : log?.highWatermark) ?? -1,
          leaderEpoch: log?.leaderEpoch ?? -1,
        }
      }),
    )
    return { throttleTimeMs: 0, partitions }
  }

  #epochs(node: number, { topics }: OffsetForLeaderEpochRequest): OffsetForLeaderEpochResponse {
    const partitions = topics.flatMap(({ topic, partitions: asked }) =>
      asked.map(({ partition, leaderEpoch }) => {
        const log = this.logs.find((one) => one.topic === topic && one.partition === partition)
        const end = log?.endOfEpoch(leaderEpoch)
        const errorCode = log?.leader === node ? CODE.none : CODE.notLeaderOrFollower
        const at = { topic, partition, errorCode }
        return { ...at, leaderEpoch: end?.epoch ?? -1, endOffset: end?.endOffset ?? -1 }
      }),
    )
    return { throttleTimeMs: 0, partitions }
  }

  #find({ topic, partition }: TopicPartition): FetchLog | undefined {
    return this.logs.find((one) => one.topic === topic && one.partition === partition)
  }

  #describe(topic: string): TopicMetadata {
    const logs = this.logs.filter((one) => one.topic === topic)
    for (const log of logs) this.#learn(log)
    return {
      errorCode: logs.length === 0 ? CODE.unknownTopicOrPartition : CODE.none,
      topic,
      topicId: logs[0]?.topicId ?? '',
      isInternal: false,
      partitions: logs.map(({ partition, leader, leaderEpoch }) => ({
        errorCode: CODE.none,
        partition,
        leader,
        leaderEpoch,
        replicas: [],
        inSync: [leader],
      })),
    }
  }

  #learn({ topic, partition, leader, leaderEpoch, topicId }: FetchLog): void {
    this.#known.set(`${topic}/${partition}`, { node: leader, leaderEpoch, topicId })
  }

  async #travel(signal: AbortSignal | undefined): Promise<void> {
    if (this.faults.delayMs > 0) {
      await sleep(this.clock, this.clock.random() * this.faults.delayMs, signal)
    } else await Promise.resolve()
    signal?.throwIfAborted()
  }

  #change(mostMs: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        timer.cancel()
        this.#changed.delete(wake)
        signal?.removeEventListener('abort', onAbort)
      }
      const wake = (): void => {
        settle()
        resolve()
      }
      const onAbort = (): void => {
        settle()
        reject(signal?.reason as Error)
      }
      const timer = this.clock.timer(mostMs, wake)
      this.#changed.add(wake)
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  #chance(probability: number): boolean {
    return probability > 0 && this.clock.random() < probability
  }
}

function answerOf(
  errorCode: number,
  sessionId: number,
  partitions: readonly FetchedPartition[],
): FetchResponse {
  return { throttleTimeMs: 0, errorCode, sessionId, partitions }
}

/** The records of an answer lie in one buffer, which the reader gives where it wants to. */
function packed(
  parts: readonly FetchedPartition[],
  buffer: RequestOptions['buffer'],
): readonly FetchedPartition[] {
  const sizeBytes = parts.reduce((sum, { records }) => sum + (records?.length ?? 0), 0)
  const body = buffer?.(sizeBytes) ?? Buffer.alloc(sizeBytes)
  let at = 0
  return parts.map((part) => {
    if (part.records === null) return part
    const start = at
    at += part.records.copy(body, at)
    return { ...part, records: body.subarray(start, at) }
  })
}

/** What got something comes last the next time. */
function rotate({ partitions, told: before }: Session, told: readonly FetchedPartition[]): void {
  for (const part of told) {
    const name = keyOf(part)
    before.set(name, endsOf(part))
    const asked = partitions.get(name)
    if (part.records === null || asked === undefined) continue
    partitions.delete(name)
    partitions.set(name, asked)
  }
}

function missing({ topicId, partition }: AskedPartition): FetchedPartition {
  return {
    topic: '',
    topicId,
    partition,
    errorCode: CODE.unknownTopicId,
    highWatermark: -1,
    lastStableOffset: -1,
    logStartOffset: -1,
    divergingEpoch: undefined,
    currentLeader: undefined,
    aborted: null,
    preferredReplica: -1,
    records: null,
  }
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`
}

function endsOf({ highWatermark, logStartOffset }: FetchedPartition): string {
  return `${highWatermark}/${logStartOffset}`
}

function keyOf({ topicId, partition }: { readonly topicId: string; readonly partition: number }) {
  return `${topicId}/${partition}`
}

function unreachable(): Error {
  return brokerUnreachable({ host: 'fake', port: 1 }, 'the way to it broke')
}
