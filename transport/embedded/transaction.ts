/**
 * One transactional id and the transaction that is open under it.
 *
 * A transaction commits by one batch of the index: the group offsets it carries and, for each
 * partition, that it is no longer open. Before that batch nothing of it counts, after it everything
 * does. Whoever ends one, its producer, its successor's init or its timeout, first shuts the door to
 * further appends and waits for those under way, so that none comes in behind the end.
 */
import type { Clock, Timer } from '../../model/clock.ts'
import { producerFenced, transactionTimedOut } from '../log-errors.ts'
import { groupOffsetName, type GroupOffset, type GroupOffsets } from './group-offsets.ts'
import type { Durability } from './limits.ts'
import type { LogIndex, RowChange } from './log-index.ts'
import type { Outcome, PartitionLog } from './partition-log.ts'

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

/**
 * - empty: nothing happened since the last end
 * - open: it has records or offsets
 * - ending: it takes nothing more
 * - expired: its timeout aborted it, and its producer does not know yet
 */
type State = 'empty' | 'open' | 'ending' | 'expired'

/** A transactional id. */
export class Transaction {
  readonly id: string
  readonly #resources: TransactionResources
  #epoch: Epoch
  /** Who opened what is open: its records carry this producer id. */
  #openedBy: Epoch
  #state: State = 'empty'
  #timeoutMs = 0
  #timer: Timer | undefined
  readonly #partitions = new Set<PartitionLog>()
  readonly #offsets = new Map<string, GroupOffset>()
  readonly #underWay = new Set<Promise<unknown>>()
  #turn: Promise<unknown> = Promise.resolve()

  constructor(id: string, epoch: Epoch, resources: TransactionResources) {
    this.id = id
    this.#epoch = epoch
    this.#openedBy = epoch
    this.#resources = resources
  }

  get epoch(): Epoch {
    return this.#epoch
  }

  /** Throws MILLRACE_PRODUCER_FENCED, or MILLRACE_TRANSACTION_TIMED_OUT until that was noticed by an abort. */
  assertOpenTo(epoch: Epoch): void {
    this.#assertCurrent(epoch)
    if (this.#state === 'expired') throw transactionTimedOut(this.id)
  }

  /** `epoch` takes the id over from now on; resolves once what its predecessor left open is aborted and the index has `rows`. */
  async takeOver(
    epoch: Epoch,
    { timeoutMs, rows }: { readonly timeoutMs: number; readonly rows: readonly RowChange[] },
  ): Promise<void> {
    this.#epoch = epoch
    await this.#inTurn(() => this.#end('abort', rows))
    this.#assertCurrent(epoch)
    this.#timeoutMs = timeoutMs
  }

  /** Runs an append as part of the transaction, which begins where none is open. */
  append<T>(epoch: Epoch, partition: PartitionLog, append: () => Promise<T>): Promise<T> {
    this.#enter(epoch)
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
  addOffsets(epoch: Epoch, offsets: readonly GroupOffset[]): void {
    this.#enter(epoch)
    for (const offset of offsets) {
      const name = groupOffsetName(offset)
      if (!this.#offsets.has(name)) this.#resources.groups.hold(offset)
      this.#offsets.set(name, offset)
    }
  }

  /** Commits or aborts what is open. Throws as `assertOpenTo`; an abort is how a producer takes note of a timeout. */
  async end(epoch: Epoch, outcome: Outcome): Promise<void> {
    await this.#inTurn(async () => {
      if (outcome === 'commit') this.assertOpenTo(epoch)
      else this.#assertCurrent(epoch)
      await this.#end(outcome, [])
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

  #assertCurrent({ producerId, producerEpoch }: Epoch): void {
    const now = this.#epoch
    const isCurrent = now.producerId === producerId && now.producerEpoch === producerEpoch
    if (!isCurrent) throw producerFenced(this.id)
  }

  #enter(epoch: Epoch): void {
    this.assertOpenTo(epoch)
    // Its producer holds everything back while it ends a transaction itself: this is the timeout.
    if (this.#state === 'ending') throw transactionTimedOut(this.id)
    if (this.#state === 'open') return
    this.#state = 'open'
    this.#openedBy = epoch
    this.#timer = this.#resources.clock.timer(this.#timeoutMs, () => this.#expire(epoch))
  }

  #expire(epoch: Epoch): void {
    const expired = this.#inTurn(async () => {
      if (this.#state !== 'open' || this.#openedBy !== epoch || this.#timer === undefined) return
      await this.#end('abort', [])
      this.#state = 'expired'
    })
    // An index that cannot be written says so to everybody who writes next.
    expired.catch(() => undefined)
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
