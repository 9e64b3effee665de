/** Gives out producer ids and epochs, and finds the transaction that a producer writes in. */
import type { Offset } from '../../model/position.ts'
import type { CommittedOffset } from '../transport.ts'
import {
  NEXT_PRODUCER_ID_KEY,
  TRANSACTIONAL_ID_PREFIX,
  type TransactionalIdRow,
} from './index-rows.ts'
import type { RowChange } from './log-index.ts'
import type { Outcome, PartitionLog } from './partition-log.ts'
import type { Append } from './partition-writer.ts'
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

  /** Introduces a producer: a new one, or under its transactional id the one that fences all before it. */
  async init(transactionalId: string | undefined, timeoutMs: number): Promise<ProducerIdentity> {
    if (transactionalId === undefined) {
      const epoch = this.#newProducer()
      await this.#resources.index.write([this.#nextProducerIdRow()], { sync: false })
      return { ...epoch, transactionalId }
    }
    const known = this.#transactions.get(transactionalId)
    const epoch = this.#epochAfter(known?.epoch)
    const transaction = known ?? new Transaction(transactionalId, epoch, this.#resources)
    this.#transactions.set(transactionalId, transaction)
    const row: TransactionalIdRow = { ...epoch, usedAt: this.#resources.clock.now() }
    const key = `${TRANSACTIONAL_ID_PREFIX}${transactionalId}`
    const rows = [{ key, value: row }, this.#nextProducerIdRow()]
    await transaction.takeOver(epoch, { timeoutMs, rows })
    return { ...epoch, transactionalId }
  }

  /** Appends on a producer's behalf, in its transaction where it has an id for one. */
  async append(
    identity: ProducerIdentity,
    partition: PartitionLog,
    append: Append,
  ): Promise<Offset> {
    if (identity.transactionalId === undefined) return await partition.append(append)
    const transaction = this.#transaction(identity.transactionalId)
    return await transaction.append(identity, partition, () => partition.append(append))
  }

  /** Puts a group's offsets in a producer's transaction. */
  addOffsets(
    identity: ProducerIdentity,
    groupId: string,
    offsets: readonly CommittedOffset[],
  ): void {
    const transaction = this.#transaction(identity.transactionalId)
    const together = offsets.map((offset) => ({ groupId, offset }))
    transaction.addOffsets(identity, together)
  }

  /** Throws what stands against a producer's next step: it was fenced, or its transaction timed out. */
  assertOpenTo(identity: ProducerIdentity): void {
    if (identity.transactionalId === undefined) return
    this.#transaction(identity.transactionalId).assertOpenTo(identity)
  }

  /** Ends a producer's transaction. */
  async end(identity: ProducerIdentity, outcome: Outcome): Promise<void> {
    await this.#transaction(identity.transactionalId).end(identity, outcome)
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
    if (epoch === undefined || epoch.producerEpoch >= LAST_EPOCH) return this.#newProducer()
    return { producerId: epoch.producerId, producerEpoch: epoch.producerEpoch + 1 }
  }

  #newProducer(): Epoch {
    const producerId = this.#nextProducerId
    this.#nextProducerId += 1
    return { producerId, producerEpoch: 0 }
  }

  #nextProducerIdRow(): RowChange {
    return { key: NEXT_PRODUCER_ID_KEY, value: this.#nextProducerId }
  }
}
