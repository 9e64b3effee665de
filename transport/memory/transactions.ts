/**
 * Who may write under a transactional id, and how a transaction ends.
 *
 * As in Kafka's second version of transactions, every end of a transaction gives its producer a new
 * epoch. So a request that belongs to an ended transaction can never slip into the next one, and an
 * end that is asked for twice is recognized by its old epoch and answered as the first time.
 *
 * An end is decided at once and then written: one marker per partition, and the offsets. Faults may
 * delay each of these, which is when a reader sees offsets whose records are still to come.
 */
import type { Clock, Timer } from '../../model/clock.ts'
import { TransportError } from '../errors.ts'
import { producerFenced, transactionTimedOut } from '../log-errors.ts'
import type { GroupCoordinator } from '../group-coordinator.ts'
import type { ControlType } from '../record-batch.ts'
import type { CommittedOffset, GroupMetadata, ProducerRecord } from '../transport.ts'
import type { Faults } from './faults.ts'
import type { GroupOffsets } from './group-offsets.ts'
import type { PartitionLog } from './partition-log.ts'

/** Largest epoch of a producer id; the next init or end gives another id. */
export const MAX_EPOCH = 32_767

/** What a producer shows with each request. */
export interface ProducerSession {
  readonly transactionalId: string | undefined
  readonly producerId: number
  readonly epoch: number
}

/** Records for one partition. */
export interface ProduceRequest {
  readonly records: readonly ProducerRecord[]
  readonly baseSequence: number
}

interface OpenTransaction {
  readonly partitions: Set<PartitionLog>
  readonly timer: Timer
}

interface EndedTransaction {
  readonly session: ProducerSession
  readonly type: ControlType
  readonly timedOut: boolean
}

interface TransactionalState {
  session: ProducerSession & { readonly transactionalId: string }
  timeoutMs: number
  open: OpenTransaction | undefined
  /** The transaction before this session, unless an init came between. */
  ended: EndedTransaction | undefined
  /** Resolves when the last end is written; undefined where nothing is left to write. */
  writing: Promise<void> | undefined
}

/** The transaction coordinator of a memory log. */
export class Transactions {
  readonly #clock: Clock
  readonly #groups: GroupOffsets
  readonly #members: GroupCoordinator
  readonly #faults: Faults | undefined
  readonly #states = new Map<string, TransactionalState>()
  #nextProducerId = 1

  constructor(options: {
    readonly clock: Clock
    readonly groups: GroupOffsets
    readonly members: GroupCoordinator
    readonly faults: Faults | undefined
  }) {
    this.#clock = options.clock
    this.#groups = options.groups
    this.#members = options.members
    this.#faults = options.faults
  }

  /** Gives a producer its session; under a transactional id it fences the one before, and aborts what that left open. */
  init(transactionalId: string | undefined, timeoutMs: number): ProducerSession {
    if (transactionalId === undefined) {
      return { transactionalId, producerId: this.#nextProducerId++, epoch: 0 }
    }
    const state = this.#states.get(transactionalId)
    if (state === undefined) {
      const session = { transactionalId, producerId: this.#nextProducerId++, epoch: 0 }
      const fresh = { session, timeoutMs, open: undefined, ended: undefined, writing: undefined }
      this.#states.set(transactionalId, fresh)
      return session
    }
    if (state.open === undefined) state.session = this.#nextSession(state)
    else this.#end(state, state.open, { type: 'abort', timedOut: false })
    // Whatever came before this session is a stranger's: only a fenced producer would ask about it.
    state.ended = undefined
    state.timeoutMs = timeoutMs
    return state.session
  }

  /** Appends records, in the session's transaction where it has an id; returns the last one's offset. */
  async produce(
    session: ProducerSession,
    log: PartitionLog,
    request: ProduceRequest,
  ): Promise<number> {
    const { producerId, epoch } = session
    const state = await this.#writable(session)
    if (state !== undefined) this.#begin(state).partitions.add(log)
    return log.append({ ...request, producerId, epoch, transactional: state !== undefined })
  }

  /** Puts a group's offsets into the session's transaction. Throws MILLRACE_GROUP_FENCED. */
  async addOffsets(
    session: ProducerSession,
    group: GroupMetadata,
    offsets: readonly CommittedOffset[],
  ): Promise<void> {
    const state = await this.#writable(session)
    this.#members.assertMayCommit(group, 'in-transaction')
    if (state !== undefined) this.#begin(state)
    this.#groups.stage(session.producerId, group.groupId, offsets)
  }

  /** Ends the session's transaction; resolves with the session of the next one when all of it is written. */
  async end(session: ProducerSession, type: ControlType): Promise<ProducerSession> {
    const state = this.#stateOf(session)
    if (isSame(session, state.session)) {
      if (state.open === undefined) return session
      this.#end(state, state.open, { type, timedOut: false })
    } else if (state.ended === undefined || !isSame(session, state.ended.session)) {
      throw producerFenced(state.session.transactionalId)
    } else if (state.ended.type !== type) {
      throw endedOtherwise(state.session.transactionalId, state.ended)
    }
    const next = state.session
    await state.writing
    return next
  }

  /** The transactional ids whose transactions are open, in the order of their first init. */
  get openIds(): readonly string[] {
    return [...this.#states].filter(([, state]) => state.open !== undefined).map(([id]) => id)
  }

  /** The state of a session that may write now; undefined where the session has no transactional id. */
  async #writable(session: ProducerSession): Promise<TransactionalState | undefined> {
    if (session.transactionalId === undefined) return undefined
    const state = this.#stateOf(session)
    // One producer id has one transaction in a partition: the marker of the last one comes first.
    while (isSame(session, state.session) && state.writing !== undefined) await state.writing
    if (isSame(session, state.session)) return state
    if (state.ended !== undefined && isSame(session, state.ended.session)) {
      const { timedOut } = state.ended
      throw timedOut
        ? transactionTimedOut(session.transactionalId)
        : transactionEnded(session.transactionalId)
    }
    throw producerFenced(session.transactionalId)
  }

  #stateOf({ transactionalId = '' }: ProducerSession): TransactionalState {
    const state = this.#states.get(transactionalId)
    if (state === undefined) throw new TypeError(`no init of transactional id ${transactionalId}`)
    return state
  }

  #begin(state: TransactionalState): OpenTransaction {
    if (state.open !== undefined) return state.open
    const timer = this.#clock.timer(state.timeoutMs, () => {
      if (state.open === open) this.#end(state, open, { type: 'abort', timedOut: true })
    })
    const open: OpenTransaction = { partitions: new Set(), timer }
    state.open = open
    return open
  }

  /** Decides the end of an open transaction, moves its producer to the next session, and starts to write. */
  #end(
    state: TransactionalState,
    open: OpenTransaction,
    how: { readonly type: ControlType; readonly timedOut: boolean },
  ): void {
    open.timer.cancel()
    const { session } = state
    state.open = undefined
    state.ended = { session, ...how }
    state.session = this.#nextSession(state)
    const writes = [
      ...[...open.partitions].map((log) =>
        this.#write(state, { type: how.type, log }, () =>
          log.appendMarker(session.producerId, how.type),
        ),
      ),
      this.#groups.hasStaged(session.producerId)
        ? this.#write(state, { type: how.type }, () =>
            this.#groups.settle(session.producerId, how.type),
          )
        : undefined,
    ].filter((write) => write !== undefined)
    if (writes.length === 0) return
    const writing: Promise<void> = Promise.all(writes).then(() => {
      if (state.writing === writing) state.writing = undefined
    })
    state.writing = writing
  }

  /** Writes now, or returns the promise of a write that faults delay. */
  #write(
    { session: { transactionalId } }: TransactionalState,
    { type, log }: { readonly type: ControlType; readonly log?: PartitionLog },
    write: () => void,
  ): Promise<void> | undefined {
    const at = log === undefined ? {} : { at: { topic: log.topic, partition: log.partition } }
    const delayMs = this.#faults?.markerDelayMs?.({ type, transactionalId, ...at }) ?? 0
    if (delayMs > 0) {
      return new Promise((resolve) => {
        this.#clock.timer(delayMs, () => {
          write()
          resolve()
        })
      })
    }
    write()
    return undefined
  }

  #nextSession({ session }: TransactionalState): TransactionalState['session'] {
    return session.epoch < MAX_EPOCH
      ? { ...session, epoch: session.epoch + 1 }
      : { ...session, producerId: this.#nextProducerId++, epoch: 0 }
  }
}

function isSame(one: ProducerSession, other: ProducerSession): boolean {
  return one.producerId === other.producerId && one.epoch === other.epoch
}

function transactionEnded(transactionalId: string): TransportError {
  return new TransportError('MILLRACE_TRANSACTION_ENDED', 'abortable', {
    message: `A record of ${transactionalId} reached the log after its transaction had ended. Wait for the answer to commit or abort before you send for the next transaction.`,
    place: transactionalId,
  })
}

function endedOtherwise(transactionalId: string, ended: EndedTransaction): TransportError {
  if (ended.timedOut) return transactionTimedOut(transactionalId)
  return new TransportError('MILLRACE_TRANSACTION_ENDED', 'fatal', {
    message: `The transaction of ${transactionalId} ended with ${ended.type} already. Ask for ${ended.type} again, or init the producer.`,
    place: transactionalId,
  })
}
