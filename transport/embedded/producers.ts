/** Gives out producer ids and epochs, and finds the transaction that a producer writes in. */
import type { Offset } from '../../model/position.ts'
import type { CommittedOffset } from '../transport.ts'
import type { AppendRequest, EndRequest, InitRequest } from './broker.ts'
import { NEXT_PRODUCER_ID_KEY, type TransactionalIdRow } from './index-rows.ts'
import type { PartitionLog } from './partition-log.ts'
import { Transaction, type Epoch, type TransactionResources } from './transaction.ts'

/** The largest epoch of a producer id; after it comes a new id. */
const LAST_EPOCH = 32_767

/** A producer as the log knows it after its init. */
export interface ProducerIdentity extends Epoch {
  readonly transactionalId: string | undefined
}

/** All producers of a log. */
export class Producers {
  readonly #resources: TransactionResources
  readonly #transactions = new Map<string, Transaction>()
  #nextProducerId: number

  constructor(
    resources: TransactionResources,
    known: {
      readonly nextProducerId: number
      readonly ids: ReadonlyMap<string, TransactionalIdRow>
    },
  ) {
    this.#resources = resources
    this.#nextProducerId = known.nextProducerId
    for (const [id, row] of known.ids) {
      this.#transactions.set(id, new Transaction(id, row, resources))
    }
  }

  /**
   * Introduces a producer: a new one, or under its transactional id the one that fences all before it.
   * Throws MILLRACE_PRODUCER_FENCED where it comes after one that was fenced itself.
   */
  async init({ transactionalId, timeoutMs, after }: InitRequest): Promise<ProducerIdentity> {
    if (transactionalId === undefined) {
      const { epoch, noted } = this.#newProducer()
      await noted
      return { ...epoch, transactionalId }
    }
    const known = this.#transactions.get(transactionalId)
    if (after !== undefined) known?.assertCurrent(after)
    const epoch = this.#epochAfter(known?.epoch)
    const transaction = known ?? new Transaction(transactionalId, epoch, this.#resources)
    this.#transactions.set(transactionalId, transaction)
    await transaction.takeOver(epoch, timeoutMs)
    return { ...epoch, transactionalId }
  }

  /** Appends on a producer's behalf, in its transaction where it has an id for one. */
  async append(
    { identity, append }: Pick<AppendRequest, 'identity' | 'append'>,
    partition: PartitionLog,
    session: object,
  ): Promise<Offset> {
    if (identity.transactionalId === undefined) return await partition.append(append)
    const transaction = this.#transaction(identity.transactionalId)
    const caller = { epoch: identity, session }
    return await transaction.append(caller, partition, () => partition.append(append))
  }

  /** Puts a group's offsets in a producer's transaction. */
  addOffsets(
    identity: ProducerIdentity,
    {
      groupId,
      offsets,
    }: { readonly groupId: string; readonly offsets: readonly CommittedOffset[] },
    session: object,
  ): void {
    const transaction = this.#transaction(identity.transactionalId)
    const together = offsets.map((offset) => ({ groupId, offset }))
    transaction.addOffsets({ epoch: identity, session }, together)
  }

  /** Throws what stands against a producer's next step: it was fenced, or its transaction was aborted. */
  assertOpenTo(identity: ProducerIdentity): void {
    if (identity.transactionalId === undefined) return
    this.#transaction(identity.transactionalId).assertOpenTo(identity)
  }

  /** Ends a producer's transaction. */
  async end({ identity, scope, ...end }: EndRequest, session: object): Promise<void> {
    const isFromBefore = scope.session !== undefined && scope.session !== session
    await this.#transaction(identity.transactionalId).end(identity, { ...end, isFromBefore })
  }

  /** Aborts every transaction that was opened in a session, for it ended. */
  async leave(session: object): Promise<void> {
    await Promise.all([...this.#transactions.values()].map((each) => each.leave(session)))
  }

  /** Waits for what is under way. Open transactions stay so in the index: the next open aborts them. */
  async close(): Promise<void> {
    await Promise.all([...this.#transactions.values()].map((each) => each.close()))
  }

  #transaction(id: string | undefined): Transaction {
    const transaction = id === undefined ? undefined : this.#transactions.get(id)
    if (transaction === undefined) throw new TypeError('a transaction needs a transactional id')
    return transaction
  }

  #epochAfter(epoch: Epoch | undefined): Epoch {
    if (epoch !== undefined && epoch.producerEpoch < LAST_EPOCH) {
      return { producerId: epoch.producerId, producerEpoch: epoch.producerEpoch + 1 }
    }
    const fresh = this.#newProducer()
    // Rows that are handed over later are written later, and fail where this one failed.
    fresh.noted.catch(() => undefined)
    return fresh.epoch
  }

  /**
   * Takes an id. Which one is next is handed to the index in the same breath: handed over later, with
   * another id taken meanwhile, it would go back, and the next opening would give an id out twice.
   */
  #newProducer(): { readonly epoch: Epoch; readonly noted: Promise<void> } {
    const producerId = this.#nextProducerId
    this.#nextProducerId += 1
    const row = { key: NEXT_PRODUCER_ID_KEY, value: this.#nextProducerId }
    const noted = this.#resources.index.write([row], { sync: false })
    return { epoch: { producerId, producerEpoch: 0 }, noted }
  }
}
