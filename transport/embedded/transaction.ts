/**
 * One transactional id and the transaction that is open under it.
 *
 * A transaction commits by one batch of the index: the group offsets it carries and, for each
 * partition, that it is no longer open. Before that batch nothing of it counts, after it everything
 * does. Whoever ends one, its producer, its successor's init or its timeout, first shuts the door to
 * further appends and waits for those under way, so that none comes in behind the end.
 */
import type { Clock, Timer } from '../../model/clock.ts'
import { producerFenced, transactionLost, transactionTimedOut } from '../log-errors.ts'
import { groupOffsetName, type GroupOffset, type GroupOffsets } from './group-offsets.ts'
import { TRANSACTIONAL_ID_PREFIX, type TransactionalIdRow } from './index-rows.ts'
import type { Durability } from './limits.ts'
import type { LogIndex, RowChange } from './log-index.ts'
import type { Outcome, PartitionLog } from './partition-log.ts'

/** The timeout under an id whose row has none. */
const USUAL_TIMEOUT_MS = 60_000

/** What the transactions of a log need of it. */
export interface TransactionResources {
  readonly clock: Clock
  readonly index: LogIndex
  readonly groups: GroupOffsets
  readonly durability: Durability
}

/** Who writes under the id now. */
export interface Epoch {
  readonly producerId: number
  readonly producerEpoch: number
}

/** Whose call it is, and in which session it was made. */
export interface Caller {
  readonly epoch: Epoch
  readonly session: object
}

/** Which transaction of an epoch ends, and how. */
export interface TransactionEnd {
  readonly outcome: Outcome
  /** Counts the transactions of the epoch. */
  readonly transaction: number
  /** It was begun in another session than the one that asks for its end. */
  readonly isFromBefore: boolean
}

/**
 * - empty: nothing happened since the last end
 * - open: it has records or offsets
 * - ending: it takes nothing more
 * - expired: the log aborted it, and its producer does not know yet
 */
type State = 'empty' | 'open' | 'ending' | 'expired'

/** A transactional id. */
export class Transaction {
  readonly id: string
  readonly #resources: TransactionResources
  #epoch: Epoch
  /** Who opened what is open: its records carry this producer id. */
  #openedBy: Epoch
  /** The session that it was opened in. */
  #openedIn: object | undefined
  /** The last transaction of the epoch that was committed, so that a commit asked for twice is known; -1 for none. */
  #committed: number
  /** Why it expired. */
  #expiry: (id: string) => Error = transactionTimedOut
  #state: State = 'empty'
  #timeoutMs: number
  #timer: Timer | undefined
  readonly #partitions = new Set<PartitionLog>()
  readonly #offsets = new Map<string, GroupOffset>()
  readonly #underWay = new Set<Promise<unknown>>()
  #turn: Promise<unknown> = Promise.resolve()

  constructor(
    id: string,
    epoch: Epoch & Pick<TransactionalIdRow, 'committed' | 'timeoutMs'>,
    resources: TransactionResources,
  ) {
    this.id = id
    this.#epoch = epoch
    this.#openedBy = epoch
    this.#committed = epoch.committed ?? -1
    this.#timeoutMs = epoch.timeoutMs ?? USUAL_TIMEOUT_MS
    this.#resources = resources
  }

  get epoch(): Epoch {
    return this.#epoch
  }

  /** Throws MILLRACE_PRODUCER_FENCED where another epoch took over. */
  assertCurrent({ producerId, producerEpoch }: Epoch): void {
    const now = this.#epoch
    const isCurrent = now.producerId === producerId && now.producerEpoch === producerEpoch
    if (!isCurrent) throw producerFenced(this.id)
  }

  /**
   * Throws MILLRACE_PRODUCER_FENCED, or MILLRACE_TRANSACTION_TIMED_OUT or MILLRACE_TRANSACTION_LOST
   * until that was noticed by an abort.
   */
  assertOpenTo(epoch: Epoch): void {
    this.assertCurrent(epoch)
    if (this.#state === 'expired') throw this.#expiry(this.id)
  }

  /** `epoch` takes the id over from now on; resolves once what its predecessor left open is aborted and the index has the new one. */
  async takeOver(epoch: Epoch, timeoutMs: number): Promise<void> {
    this.#epoch = epoch
    await this.#inTurn(async () => {
      await this.#end('abort', [this.#row(epoch, { timeoutMs })])
      this.#committed = -1
    })
    this.assertCurrent(epoch)
    this.#timeoutMs = timeoutMs
  }

  /** Runs an append as part of the transaction, which begins where none is open. */
  append<T>(
    { epoch, session }: Caller,
    partition: PartitionLog,
    append: () => Promise<T>,
  ): Promise<T> {
    this.#enter(epoch, session)
    this.#partitions.add(partition)
    const appending = append()
    this.#underWay.add(appending)
    const leave = (): void => {
      this.#underWay.delete(appending)
    }
    appending.then(leave, leave)
    return appending
  }

  /** Adds offsets to the transaction, which begins where none is open. */
  addOffsets({ epoch, session }: Caller, offsets: readonly GroupOffset[]): void {
    this.#enter(epoch, session)
    for (const offset of offsets) {
      const name = groupOffsetName(offset)
      if (!this.#offsets.has(name)) this.#resources.groups.hold(offset)
      this.#offsets.set(name, offset)
    }
  }

  /**
   * Commits or aborts what is open. Throws as `assertOpenTo`; an abort is how a producer takes note of
   * a timeout. A commit that was done before is done: its answer was lost.
   */
  async end(epoch: Epoch, { outcome, transaction, isFromBefore }: TransactionEnd): Promise<void> {
    await this.#inTurn(async () => {
      this.assertCurrent(epoch)
      if (this.#committed === transaction) return
      if (outcome === 'abort') {
        await this.#end('abort', [])
        return
      }
      if (isFromBefore) await this.#giveUp(transactionLost)
      this.assertOpenTo(epoch)
      if (this.#state !== 'open') return
      const row = this.#row(epoch, { committed: transaction, timeoutMs: this.#timeoutMs })
      await this.#end('commit', [row])
      this.#committed = transaction
    })
  }

  /** Aborts what was opened in a session that ended. */
  async leave(session: object): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#state === 'open' && this.#openedIn === session) await this.#giveUp(transactionLost)
    })
  }

  /** Ends the timeout and waits for what is under way: the log closes. */
  async close(): Promise<void> {
    this.#timer?.cancel()
    await Promise.allSettled(this.#underWay)
    await this.#turn
  }

  /** Inits and ends come one after the other, whether the one before failed or not. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  #row(
    { producerId, producerEpoch }: Epoch,
    more: Pick<TransactionalIdRow, 'committed' | 'timeoutMs'>,
  ): RowChange {
    const usedAt = this.#resources.clock.now()
    const value: TransactionalIdRow = { producerId, producerEpoch, usedAt, ...more }
    return { key: `${TRANSACTIONAL_ID_PREFIX}${this.id}`, value }
  }

  #enter(epoch: Epoch, session: object): void {
    this.assertOpenTo(epoch)
    // Its producer holds everything back while it ends a transaction itself: this is the timeout.
    if (this.#state === 'ending') throw transactionTimedOut(this.id)
    if (this.#state === 'open') return
    this.#state = 'open'
    this.#openedBy = epoch
    this.#openedIn = session
    this.#timer = this.#resources.clock.timer(this.#timeoutMs, () => this.#timeOut(epoch))
  }

  #timeOut(epoch: Epoch): void {
    const expired = this.#inTurn(async () => {
      if (this.#state !== 'open' || this.#openedBy !== epoch || this.#timer === undefined) return
      await this.#giveUp(transactionTimedOut)
    })
    // An index that cannot be written says so to everybody who writes next.
    expired.catch(() => undefined)
  }

  /** Aborts on the log's own account: the producer is told by its next call. */
  async #giveUp(expiry: (id: string) => Error): Promise<void> {
    await this.#end('abort', [])
    this.#state = 'expired'
    this.#expiry = expiry
  }

  async #end(outcome: Outcome, more: readonly RowChange[]): Promise<void> {
    const before = this.#state
    this.#timer?.cancel()
    this.#timer = undefined
    this.#state = 'ending'
    try {
      await Promise.allSettled(this.#underWay)
      await this.#record(outcome, more)
    } catch (error) {
      this.#state = before
      throw error
    }
    this.#show(outcome)
    this.#state = 'empty'
  }

  async #record(outcome: Outcome, more: readonly RowChange[]): Promise<void> {
    const { durability, index, groups } = this.#resources
    const sync = durability === 'fsync' && outcome === 'commit'
    const { producerId } = this.#openedBy
    const ended = [...this.#partitions].flatMap((each) => each.endingRows(producerId, outcome))
    const offsets = outcome === 'commit' ? groups.rows(this.#offsets.values()) : []
    const rows = [...more, ...ended, ...offsets]
    if (rows.length > 0) await index.write(rows, { sync })
  }

  /** In one go, so that whoever runs in between sees all of the transaction or nothing. */
  #show(outcome: Outcome): void {
    const { groups } = this.#resources
    const { producerId } = this.#openedBy
    if (outcome === 'commit') groups.apply(this.#offsets.values())
    for (const offset of this.#offsets.values()) groups.release(offset)
    this.#offsets.clear()
    for (const partition of this.#partitions) partition.endTransaction(producerId, outcome)
    this.#partitions.clear()
  }
}
