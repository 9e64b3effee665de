/**
 * Fetches from one broker for all cursors whose partitions it leads.
 *
 * - One request is in flight, within an incremental session; the next leaves as soon as an answer's
 *   headers were walked, so that the broker reads while records are decoded.
 * - A request whose partitions are all caught up waits at the broker for news, and the broker answers
 *   nothing else on that connection meanwhile. A cursor that has to read then, because it was just
 *   opened or its full queue was drained, does not wait with them: it is asked for on a connection
 *   beside, without a session and without a wait, until it can join the others. Rejected: short waits
 *   for all, which add up to a stall for every batch of a restore beside partitions that are idle.
 */
import type { Timer } from '../../../model/clock.ts'
import { asError } from '../../../model/errors.ts'
import { FETCH, type FetchResponse } from '../api/fetch.ts'
import { CODE, refused } from '../error-codes.ts'
import type { FetchCluster, FetchLane } from './fetch-cluster.ts'
import type { FetchLimits } from './fetch-limits.ts'
import { FetchDoubt } from './fetch-doubt.ts'
import { planFetch, type FetchBudget, type FetchPlan } from './fetch-plan.ts'
import { FetchSession, sessionless, type SessionRequest } from './fetch-session.ts'
import { receive, type Received } from './fetched-partition.ts'
import type { KafkaCursor } from './kafka-cursor.ts'
import { ResponseBuffer, type ResponseBuffers } from './response-buffers.ts'

/** What the fetchers of a reader share. */
export interface FetcherSetting {
  readonly cluster: FetchCluster
  readonly limits: FetchLimits
  readonly buffers: ResponseBuffers
  /** Connections for the session's requests, and for those beside it. */
  readonly lanes: { readonly main: FetchLane; readonly beside: FetchLane }
  readonly seesAll: boolean
  /** Empty where the reader is in no rack. */
  readonly rack: string
  /** Aborts when the reader closes. */
  readonly signal: AbortSignal
  readonly owner: FetcherOwner
}

/** What a fetcher asks of its reader. */
export interface FetcherOwner {
  /** The cursors that this broker is to be asked for. */
  cursorsAt(node: number): readonly KafkaCursor[]
  budget(): FetchBudget
  reserve(bytes: number): void
  /** What became of a cursor that was asked for. */
  onReceived(cursor: KafkaCursor, received: Received): void
  /** The request failed; `error` is retriable or stops the cursor. */
  onRefused(cursor: KafkaCursor, error: Error): void
  /** An answer was taken in, or a request given up: others may be sent. */
  onAnswered(): void
}

interface InFlight {
  readonly plan: FetchPlan
  readonly done: Promise<void>
}

/** The fetches from one broker. */
export class BrokerFetcher {
  readonly node: number
  readonly #setting: FetcherSetting
  readonly #session = new FetchSession()
  /** Those that the session's last request asked for. */
  #inSession = new WeakSet<KafkaCursor>()
  #main: InFlight | undefined
  #beside: InFlight | undefined
  /** Set while caught-up cursors wait for their turn beside. */
  #idleTimer: Timer | undefined
  #isIdleDue = false

  constructor(node: number, setting: FetcherSetting) {
    this.node = node
    this.#setting = setting
  }

  /** Sends what may be sent now. */
  pump(): void {
    if (this.#setting.signal.aborted) return
    if (this.#main === undefined) {
      const plan = this.#plan(() => true)
      // A new wait for news is one for all: those beside join it when they are answered.
      const joins = plan?.isPoll === true && this.#beside !== undefined
      if (plan !== undefined && !joins) this.#main = this.#launch(plan, true)
    } else if (this.#main.plan.isPoll && this.#beside === undefined) {
      const plan = this.#plan(({ ahead }) => ahead !== 'nothing' || this.#isIdleDue)
      if (plan !== undefined) {
        this.#isIdleDue = false
        this.#beside = this.#launch(plan, false)
      } else this.#askIdleLater()
    }
  }

  /** Resolves when nothing is in flight any more. */
  async settle(): Promise<void> {
    this.#idleTimer?.cancel()
    await Promise.all([this.#main?.done, this.#beside?.done])
  }

  /** What is caught up and not in the wait for news is asked for again now and then, until it can join. */
  #askIdleLater(): void {
    const { cluster, limits } = this.#setting
    if (this.#idleTimer !== undefined || this.#plan(() => true) === undefined) return
    this.#idleTimer = cluster.clock.timer(limits.besideIntervalMs, () => {
      this.#idleTimer = undefined
      this.#isIdleDue = true
      this.pump()
    })
  }

  #plan(isWanted: (cursor: KafkaCursor) => boolean): FetchPlan | undefined {
    const { owner, limits } = this.#setting
    return planFetch(owner.cursorsAt(this.node).filter(isWanted), owner.budget(), limits)
  }

  #launch(plan: FetchPlan, isMain: boolean): InFlight {
    const { owner } = this.#setting
    for (const cursor of plan.cursors) cursor.state = 'fetching'
    owner.reserve(plan.maxBytes)
    return { plan, done: this.#run(plan, isMain) }
  }

  /** Never rejects. */
  async #run(plan: FetchPlan, isMain: boolean): Promise<void> {
    const { owner } = this.#setting
    let outcome: { readonly response: FetchResponse; readonly body: ResponseBuffer } | Error
    try {
      outcome = await this.#ask(plan, isMain)
    } catch (error) {
      outcome = asError(error)
    }
    if (isMain) this.#main = undefined
    else this.#beside = undefined
    owner.reserve(-plan.maxBytes)
    if (outcome instanceof Error) this.#failed(plan, outcome, isMain)
    else this.#answered(plan, outcome, isMain)
    owner.onAnswered()
  }

  async #ask(plan: FetchPlan, isMain: boolean) {
    const { cluster, lanes, limits, buffers, seesAll, rack, signal } = this.#setting
    const maxWaitMs = isMain ? limits.maxWaitMs : 0
    const request = {
      maxWaitMs,
      minBytes: 1,
      maxBytes: plan.maxBytes,
      isolation: seesAll ? (0 as const) : (1 as const),
      rack,
      ...(isMain ? this.#nextOf(plan) : sessionless(plan.asked)),
    }
    const { node } = this
    const afterMs = maxWaitMs + limits.doubtAfterMs
    using doubt = new FetchDoubt({ cluster, afterMs, node, awaited: plan.cursors, signal })
    let body: ResponseBuffer | undefined
    const answer = (isMain ? lanes.main : lanes.beside).request(node, [FETCH, request], {
      version: FETCH.versions[1],
      deadlineMs: limits.requestDeadlineMs + maxWaitMs,
      signal,
      // Given back only after an answer: until then the socket may still write into it.
      buffer: (sizeBytes) => (body = buffers.take(sizeBytes)).bytes,
    })
    const response = await Promise.race([answer, doubt.lost])
    return { response, body: body ?? new ResponseBuffer(Buffer.alloc(0)) }
  }

  /**
   * The session's next request. A broker counts what it told to a cursor that is closed now as told, so
   * one that took its place begins the session anew. Rejected: to forget and add the partition in one
   * request, for a broker adds first and forgets then.
   */
  #nextOf({ cursors, asked }: FetchPlan): SessionRequest {
    const isUntold = asked.some((one, index) => {
      const cursor = cursors[index]
      if (cursor === undefined || this.#inSession.has(cursor)) return false
      return cursor.lastStableOffset === undefined && this.#session.remembers(one)
    })
    if (isUntold) this.#session.reset()
    this.#inSession = new WeakSet(cursors)
    return this.#session.next(asked)
  }

  #answered(
    plan: FetchPlan,
    { response, body }: { readonly response: FetchResponse; readonly body: ResponseBuffer },
    isMain: boolean,
  ): void {
    const { errorCode, sessionId } = response
    if (errorCode !== CODE.none) {
      this.#refused(plan, errorCode)
      body.release()
      return
    }
    if (isMain) this.#session.answered(sessionId)
    this.#deliver(plan, response, body)
    body.release()
  }

  #deliver(plan: FetchPlan, response: FetchResponse, body: ResponseBuffer): void {
    const { cluster, owner, seesAll, limits } = this.#setting
    const { preferredReplicaMs } = limits
    const nowMs = cluster.clock.monotonic()
    const parts = new Map(
      response.partitions.map((part) => [`${part.topicId}/${part.partition}`, part]),
    )
    for (const cursor of plan.cursors) {
      // It may have been closed meanwhile, and its partition opened again by another cursor.
      if (cursor.state !== 'fetching') continue
      cursor.state = 'ready'
      const part = parts.get(`${cursor.topicId}/${cursor.partition}`)
      if (part === undefined) continue
      const isFollower = cursor.leader?.node !== this.node
      const setting = { seesAll, nowMs, preferredReplicaMs, isFollower, body }
      owner.onReceived(cursor, receive(cursor, part, setting))
    }
  }

  /** An error of the whole request: of its session, or of none of our making. */
  #refused(plan: FetchPlan, code: number): void {
    this.#session.reset({ isUnknown: code === CODE.fetchSessionIdNotFound })
    const error = refused(code, { api: FETCH.name, place: `broker ${this.node}` })
    for (const cursor of plan.cursors) {
      if (cursor.state !== 'fetching') continue
      // The first error of a session costs nothing but a request that names everything.
      if (SESSION.has(code) && cursor.retries === 0) {
        cursor.state = 'ready'
        cursor.retries = 1
      } else this.#setting.owner.onRefused(cursor, error)
    }
  }

  #failed(plan: FetchPlan, error: Error, isMain: boolean): void {
    if (isMain) this.#session.reset()
    if (this.#setting.signal.aborted) return
    for (const cursor of plan.cursors) {
      if (cursor.state === 'fetching') this.#setting.owner.onRefused(cursor, error)
    }
  }
}

const SESSION: ReadonlySet<number> = new Set([
  CODE.fetchSessionIdNotFound,
  CODE.invalidFetchSessionEpoch,
  CODE.fetchSessionTopicIdError,
])
