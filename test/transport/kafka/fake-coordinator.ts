/**
 * The coordinator of one transactional id, with the states and the epochs of `TransactionCoordinator`
 * and `TransactionMetadata`: version 1 keeps the epoch at an end, version 2 raises it, a fence raises it
 * in any case, and the markers are written a while after the answer.
 */
import { CODE } from '../../../transport/kafka/error-codes.ts'
import type { TransactionVersion } from '../../../transport/kafka/cluster/cluster.ts'
import type { ProducerIdentity } from '../../../transport/kafka/producer/producer-identity.ts'
import type { Clock, Timer } from '../../../model/clock.ts'

/** Something that belongs to a transaction and hears of its end. */
export type Participant = (end: {
  readonly isCommit: boolean
  readonly producerId: number
  readonly epoch: number
}) => void

type State = 'empty' | 'ongoing' | 'ending' | 'committed' | 'aborted'

export class FakeCoordinator {
  readonly version: TransactionVersion
  readonly #clock: Clock
  readonly #producerId: number
  #epoch = -1
  /** The epoch before, by which a repetition is told. */
  #lastEpoch = -1
  #state: State = 'empty'
  #ending: 'committed' | 'aborted' = 'aborted'
  #participants = new Map<string, Participant>()
  #timeout: Timer | undefined
  #timeoutMs = 60_000

  constructor(
    clock: Clock,
    { version, producerId }: { readonly version: TransactionVersion; readonly producerId: number },
  ) {
    this.version = version
    this.#clock = clock
    this.#producerId = producerId
  }

  get isAtRest(): boolean {
    return this.#state !== 'ending' && this.#state !== 'ongoing'
  }

  /** Whether a batch of this epoch may get into the transaction: brokers since 3.6 ask before they take one. */
  verify(identity: ProducerIdentity, name: string): number {
    if (identity.producerEpoch !== this.#epoch) return CODE.invalidProducerEpoch
    const isIn = this.#state === 'ongoing' && this.#participants.has(name)
    return isIn ? CODE.none : CODE.invalidTxnState
  }

  init(expected: ProducerIdentity, timeoutMs: number): ProducerIdentity | number {
    this.#timeoutMs = timeoutMs
    if (this.#state === 'ending') return CODE.concurrentTransactions
    // A real one does not look at the epoch either while a transaction is open.
    if (this.#state === 'ongoing') {
      this.#fence()
      return CODE.concurrentTransactions
    }
    const isExpected = expected.producerId >= 0
    if (isExpected) {
      const { producerEpoch } = expected
      if (producerEpoch === this.#lastEpoch) return this.#identity
      if (producerEpoch !== this.#epoch) return CODE.producerFenced
    }
    this.#lastEpoch = isExpected ? this.#epoch : -1
    this.#epoch += 1
    this.#state = 'empty'
    return this.#identity
  }

  /** Adds a participant to the transaction; opens it where none is open. */
  add(identity: ProducerIdentity, name: string, participant: Participant): number {
    if (identity.producerEpoch !== this.#epoch) return CODE.invalidProducerEpoch
    if (this.#state === 'ending') return CODE.concurrentTransactions
    if (this.#state !== 'ongoing') {
      this.#state = 'ongoing'
      this.#timeout = this.#clock.timer(this.#timeoutMs, () => this.#fence())
    }
    this.#participants.set(name, participant)
    return CODE.none
  }

  /** Ends the transaction; its participants hear of it later. */
  end(identity: ProducerIdentity, isCommit: boolean): ProducerIdentity | number {
    const ending = isCommit ? 'committed' : 'aborted'
    const isRepeated = this.version === 2 && identity.producerEpoch === this.#lastEpoch
    if (identity.producerEpoch !== this.#epoch && !isRepeated) return CODE.producerFenced
    if (this.#state === 'ending') {
      return this.#ending === ending ? CODE.concurrentTransactions : CODE.invalidTxnState
    }
    if (this.#state === ending && (isRepeated || this.version === 1)) return this.#identity
    if (isRepeated) return CODE.producerFenced
    if (this.#state !== 'ongoing' && (this.version === 1 || isCommit)) return CODE.invalidTxnState
    this.#end(ending)
    return this.#identity
  }

  get #identity(): ProducerIdentity {
    return { producerId: this.#producerId, producerEpoch: this.#epoch }
  }

  #fence(): void {
    this.#epoch += 1
    this.#lastEpoch = -1
    this.#end('aborted')
  }

  #end(ending: 'committed' | 'aborted'): void {
    this.#timeout?.cancel()
    if (this.version === 2) {
      this.#lastEpoch = this.#epoch
      this.#epoch += 1
    }
    this.#state = 'ending'
    this.#ending = ending
    const [participants, epoch] = [this.#participants, this.#epoch]
    this.#participants = new Map()
    this.#clock.timer(this.#clock.random() * 8, () => {
      const end = { isCommit: ending === 'committed', producerId: this.#producerId, epoch }
      for (const participant of participants.values()) participant(end)
      this.#state = ending
    })
  }
}
