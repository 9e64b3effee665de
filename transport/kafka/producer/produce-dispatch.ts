/**
 * Sends batches to the brokers that lead their partitions and makes of each answer what it means.
 *
 * - Up to five requests are under way to a broker, on one connection and so in order; one that has not
 *   answered yet, or whose connection broke, is sent one thing at a time.
 * - A request has at most one batch of a partition and up to `requestBytes`. Partitions take turns.
 * - What may be tried again is, with its number, until the batch's deadline: transport/kafka/
 *   partition-outbox.ts keeps the order meanwhile.
 *
 * Nothing here is awaited by a caller: who waits, waits for batches to settle.
 */
import type { Timer } from '../../../model/clock.ts'
import { asError, isMillraceError } from '../../../model/errors.ts'
import { describePartition } from '../../../model/position.ts'
import { unknownPartition } from '../../log-errors.ts'
import { byTopic } from '../api/api.ts'
import type { Departure, DispatchHost, DispatchOptions, ProduceSession } from './dispatch-host.ts'
import { unlessMoved, type Doubt } from './doubt.ts'
import { isRetriable, retryDelayMs } from '../limits.ts'
import type { PartitionLeader } from '../cluster/metadata-cache.ts'
import type { PartitionOutbox } from './partition-outbox.ts'
import type { PendingBatch } from './pending-batch.ts'
import { ProduceJudge } from './produce-judge.ts'

/** An outbox that may send, and to whom. */
interface Ready {
  readonly outbox: PartitionOutbox
  readonly leader: PartitionLeader
}

interface Flight {
  requests: number
  hasAnswered: boolean
}

/** The sender of one producer. */
export class ProduceDispatch {
  readonly #host: DispatchHost
  readonly #options: DispatchOptions
  readonly #flights = new Map<number, Flight>()
  readonly #judge: ProduceJudge
  #rounds = 0
  #wake: { readonly atMs: number; readonly timer: Timer } | undefined

  constructor(host: DispatchHost, options: DispatchOptions) {
    this.#host = host
    this.#options = options
    this.#judge = new ProduceJudge(host, options, () => this.pump())
  }

  /** Sends what may leave now. */
  pump(): void {
    const { session } = this.#host
    if (session === undefined) return
    const ready: Ready[] = []
    for (const outbox of this.#inTurn()) {
      const leader = this.#readiness(outbox, session)
      if (leader !== undefined) ready.push({ outbox, leader })
    }
    for (const [node, of] of Map.groupBy(ready, ({ leader }) => leader.node)) {
      this.#fill(node, of, session)
    }
  }

  /** No timer is left behind. */
  stop(): void {
    this.#wake?.timer.cancel()
    this.#wake = undefined
  }

  /** Closes a batch to more records; compressing it may take until later. */
  close(outbox: PartitionOutbox, batch: PendingBatch): void {
    const closing = batch.close(this.#options.compression)
    closing?.then(
      () => this.pump(),
      (error: unknown) => this.#host.stuck(outbox, asError(error)),
    )
  }

  get #now(): number {
    return this.#options.link.clock.monotonic()
  }

  /** The outboxes, beginning with another one each time. */
  #inTurn(): readonly PartitionOutbox[] {
    const { outboxes } = this.#host
    this.#rounds += 1
    const first = outboxes.length === 0 ? 0 : this.#rounds % outboxes.length
    return [...outboxes.slice(first), ...outboxes.slice(0, first)]
  }

  /** The leader to whom the head of an outbox may go now. */
  #readiness(outbox: PartitionOutbox, session: ProduceSession): PartitionLeader | undefined {
    if (!outbox.isWanted(this.#host.turn)) return undefined
    const now = this.#now
    if (now < outbox.notBeforeMs) {
      this.#wakeAt(outbox.notBeforeMs)
      return undefined
    }
    const leader = this.#options.link.knownLeader(outbox.at)
    if (leader === undefined) {
      if (!outbox.isSeeking) void this.#seek(outbox)
      return undefined
    }
    if (!outbox.mayLeave(leader.node, session.identity, now)) return undefined
    if (!session.scope.admits(outbox.at)) return undefined
    const [head] = outbox.queued
    if (head?.isOpen === true) this.close(outbox, head)
    return head?.isReady === true ? leader : undefined
  }

  /** Sends requests to a node for as long as it takes more. */
  #fill(node: number, ready: readonly Ready[], session: ProduceSession): void {
    const flight = this.#flights.get(node) ?? { requests: 0, hasAnswered: false }
    this.#flights.set(node, flight)
    const most = (): number => (flight.hasAnswered ? this.#options.limits.inFlightRequests : 1)
    while (flight.requests < most()) {
      const departures = this.#gather(ready, session)
      if (departures.length === 0) return
      void this.#send(node, flight, { departures, session })
    }
  }

  /** Batches for one request: one of each partition, up to the bound on bytes, or one. */
  #gather(ready: readonly Ready[], session: ProduceSession): readonly Departure[] {
    const { requestBytes } = this.#options.limits
    const transactional = session.transactionalId !== null
    const departures: Departure[] = []
    let bytes = 0
    for (const { outbox, leader } of ready) {
      if (this.#readiness(outbox, session)?.node !== leader.node) continue
      const sizeBytes = outbox.queued[0]?.sizeBytes ?? 0
      if (departures.length > 0 && bytes + sizeBytes > requestBytes) continue
      bytes += sizeBytes
      const numbering = { identity: session.identity, transactional }
      const [batch, parts] = outbox.depart(leader.node, numbering)
      departures.push({ outbox, batch, parts, leaderEpoch: leader.leaderEpoch })
    }
    return departures
  }

  /** Never rejects: every batch is judged, whatever happens. */
  async #send(
    node: number,
    flight: Flight,
    sent: { readonly departures: readonly Departure[]; readonly session: ProduceSession },
  ): Promise<void> {
    const { departures, session } = sent
    const { transactionalId, version, scope } = session
    const { produceDeadlineMs: deadlineMs, replicationTimeoutMs: timeoutMs } = this.#options.limits
    const topics = byTopic(
      departures.map(({ outbox: { at }, parts }) => ({ ...at, records: parts })),
    )
    flight.requests += 1
    scope.start()
    const request = { transactionalId, acks: -1, timeoutMs, topics } as const
    const sending = this.#options.link.produce(node, request, { version, deadlineMs })
    const [outcome] = await Promise.allSettled([
      unlessMoved(sending, this.#doubt(node, departures)),
    ])
    flight.requests -= 1
    flight.hasAnswered = outcome.status === 'fulfilled'
    if (outcome.status === 'rejected') {
      const error = asError(outcome.reason)
      for (const one of departures) this.#judge.unanswered(one, error, session)
    } else {
      const answers = new Map(outcome.value.partitions.map((one) => [describePartition(one), one]))
      for (const one of departures) {
        this.#judge.judge(one, answers.get(describePartition(one.outbox.at)), session)
      }
    }
    this.pump()
  }

  /** Partitions that are led elsewhere need not wait for the deadline of a request. */
  #doubt(node: number, departures: readonly Departure[]): Doubt {
    const { link, limits } = this.#options
    return {
      clock: link.clock,
      afterMs: limits.doubtMs,
      hasMoved: async () => {
        for (const { outbox, leaderEpoch } of departures) {
          link.invalidate(outbox.at, leaderEpoch)
          const leader = await link.leader(outbox.at, { deadlineMs: limits.leaderDeadlineMs })
          if (leader.node !== node) return true
        }
        return false
      },
      abandon: () => link.abandon(node, 'produce'),
    }
  }

  /** Finds the leader of a partition; whoever cannot be found is given up after a while. Never rejects. */
  async #seek(outbox: PartitionOutbox): Promise<void> {
    const { link, limits } = this.#options
    const { clock } = link
    outbox.isSeeking = true
    try {
      await link.leader(outbox.at, { deadlineMs: limits.leaderDeadlineMs })
      outbox.unknownSinceMs = undefined
    } catch (error) {
      const isUnknown = isMillraceError(error, 'MILLRACE_UNKNOWN_PARTITION')
      const [head] = outbox.queued
      if (head !== undefined) head.problem = asError(error)
      if (isUnknown) {
        link.invalidate(outbox.at)
        outbox.unknownSinceMs ??= this.#now
        const isOver = this.#now - outbox.unknownSinceMs >= limits.unknownPartitionMs
        if (isOver) this.#host.stuck(outbox, unknownPartition(outbox.at, 'abortable'))
      } else if (!isRetriable(error)) this.#host.stuck(outbox, asError(error))
      outbox.notBeforeMs = this.#now + retryDelayMs({ clock, limits }, isUnknown ? 3 : 0)
    } finally {
      outbox.isSeeking = false
      this.pump()
    }
  }

  #wakeAt(atMs: number): void {
    if (this.#wake !== undefined && this.#wake.atMs <= atMs) return
    this.#wake?.timer.cancel()
    const delayMs = Math.max(0, atMs - this.#now)
    const timer = this.#options.link.clock.timer(delayMs, () => {
      this.#wake = undefined
      this.pump()
    })
    this.#wake = { atMs, timer }
  }
}
