/**
 * Makes of each answer to Produce what it means for its batch: acknowledged, sent again later with its
 * number, split, or given up with an error that says what to do.
 */
import { asError } from '../../../model/errors.ts'
import { describePartition } from '../../../model/position.ts'
import { producerFenced } from '../../log-errors.ts'
import { loneBatchBytes } from '../../record-batch-builder.ts'
import type { ProducedPartition } from '../api/produce.ts'
import { concurrentDelayMs } from './coordinator-call.ts'
import type { Departure, DispatchHost, DispatchOptions, ProduceSession } from './dispatch-host.ts'
import { refused } from '../error-codes.ts'
import { isRetriable, retryDelayMs } from '../limits.ts'
import type { PartitionOutbox } from './partition-outbox.ts'
import { AGAIN, LOST, verdictOn, type ProduceVerdict } from './produce-verdict.ts'
import { batchRefused, deliveryFailed, outOfOrder, recordOverLimit } from './producer-errors.ts'
import { topicLimitBytes } from './topic-limit.ts'

/** The judge of one producer's batches. */
export class ProduceJudge {
  readonly #host: DispatchHost
  readonly #options: DispatchOptions
  readonly #pump: () => void

  /** `pump` sends what may leave after an answer that had to be thought over. */
  constructor(host: DispatchHost, options: DispatchOptions, pump: () => void) {
    this.#host = host
    this.#options = options
    this.#pump = pump
  }

  /** The answer to a request did not come. */
  unanswered(departure: Departure, error: Error, { scope }: ProduceSession): void {
    scope.reached()
    if (isRetriable(error)) this.#again(departure, LOST, error)
    else {
      departure.batch.isUncertain = true
      this.#host.refused(departure.outbox, departure.batch, error)
    }
  }

  /** What the log says of a batch; undefined where its answer says nothing of it. */
  judge(
    departure: Departure,
    answer: ProducedPartition | undefined,
    session: ProduceSession,
  ): void {
    const { outbox, batch } = departure
    const { at } = outbox
    const code = answer?.errorCode ?? 0
    const verdict = answer === undefined ? LOST : verdictOn(code)
    const detail = answer?.errorMessage ?? null
    switch (verdict.kind) {
      case 'acknowledged':
        session.scope.reached()
        for (const one of outbox.acknowledge(batch, answer?.baseOffset ?? -1, this.#now)) {
          this.#host.landed(one)
        }
        return
      case 'again':
        if (verdict.isUncertain) session.scope.reached()
        this.#again(departure, verdict, refusal(at, code, detail))
        return
      case 'out-of-order':
        this.#outOfOrder(departure, session)
        return
      case 'fenced': {
        batch.isUncertain = true
        const { transactionalId } = session
        const error =
          transactionalId === null ? refusal(at, code, detail) : producerFenced(transactionalId)
        this.#host.refused(outbox, batch, error)
        return
      }
      case 'too-large':
        void this.#tooLarge(departure)
        return
      case 'refused': {
        const transactionalId = session.transactionalId ?? undefined
        this.#host.refused(outbox, batch, batchRefused(at, code, { detail, transactionalId }))
        return
      }
      default:
        verdict satisfies never
    }
  }

  /** Sends a batch again later, unless its time is over. */
  #again(
    { outbox, batch, leaderEpoch }: Departure,
    verdict: ProduceVerdict & { readonly kind: 'again' },
    problem: Error,
  ): void {
    const { link, limits } = this.#options
    const { clock } = link
    batch.problem = problem
    batch.isUncertain ||= verdict.isUncertain
    if (verdict.hasMoved) link.invalidate(outbox.at, leaderEpoch)
    const ageMs = this.#now - batch.queuedAtMs
    if (
      ageMs >= limits.deliveryTimeoutMs ||
      outbox.failure !== undefined ||
      this.#host.isGivingUp
    ) {
      const error = deliveryFailed(outbox.at, batch, limits.deliveryTimeoutMs)
      this.#host.refused(outbox, batch, error)
      return
    }
    const retry = batch.attempts - 1
    const delayMs = verdict.isConcurrent
      ? concurrentDelayMs(clock, limits, retry)
      : retryDelayMs({ clock, limits }, retry)
    outbox.takeBack(batch, this.#now + delayMs)
  }

  /** A sequence that the log does not take. */
  #outOfOrder(departure: Departure, { transactionalId }: ProduceSession): void {
    const { outbox, batch } = departure
    const isNext = outbox.isNext(batch)
    const problem = outOfOrder(outbox.at)
    if (isNext && transactionalId !== null) {
      batch.isUncertain = true
      this.#host.refused(outbox, batch, problem)
      return
    }
    // What came before it was refused and is sent again first.
    this.#again(departure, AGAIN, problem)
    if (!isNext) return
    // The log has lost what it acknowledged, or knows the producer no more: the next epoch begins anew.
    outbox.renumber()
    if (batch.number !== undefined) this.#host.outdated(batch.number.identity)
  }

  /** A batch over its topic's limit goes out as several; a single record cannot. Never rejects. */
  async #tooLarge({ outbox, batch }: Departure): Promise<void> {
    const { at } = outbox
    outbox.pause()
    const { link, limits } = this.#options
    let limitBytes: number | undefined
    try {
      limitBytes = await topicLimitBytes(link, at.topic, limits.leaderDeadlineMs)
    } catch (error) {
      batch.problem = asError(error)
    }
    const record = batch.loneRecord
    if (record !== undefined) {
      const sizeBytes = loneBatchBytes(record)
      this.#host.refused(outbox, batch, recordOverLimit(at, { sizeBytes, limitBytes }))
    } else if (outbox.failure !== undefined || this.#host.isGivingUp) {
      this.#host.refused(
        outbox,
        batch,
        batch.problem ?? recordOverLimit(at, { sizeBytes: batch.sizeBytes, limitBytes }),
      )
    } else {
      const half = Math.floor(batch.countedBytes / 2)
      outbox.batchBytes = Math.min(outbox.batchBytes, limitBytes ?? half)
      const parts = batch.split(Math.min(outbox.batchBytes, half))
      outbox.replace(batch, parts)
      this.#host.split(batch, parts)
    }
    this.#pump()
  }

  get #now(): number {
    return this.#options.link.clock.monotonic()
  }
}

/** What the log said, for the message of whoever gives up in the end. */
function refusal(at: PartitionOutbox['at'], code: number, detail: string | null): Error {
  return refused(code, { api: 'Produce', place: describePartition(at), detail })
}
