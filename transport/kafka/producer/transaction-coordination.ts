/**
 * What a producer and the coordinators of its transactions say to each other.
 *
 * Version 1: partitions and groups are added by request before anything is sent to them. Version 2:
 * the brokers do that by themselves, and the end of a transaction gives the epoch of the next one, so
 * that nothing late can get into it. Which one holds is asked for at each init and not mixed within a
 * session: a broker takes a Produce of version 2 with an EndTxn of version 1 and drops the protection.
 */
import { sleep } from '../../../model/clock.ts'
import type { TopicPartition } from '../../../model/position.ts'
import type { TransportError, TransportErrorKind } from '../../errors.ts'
import type { CommittedOffset, GroupMetadata } from '../../transport.ts'
import { ADD_OFFSETS_TO_TXN } from '../api/add-offsets-to-txn.ts'
import { ADD_PARTITIONS_TO_TXN } from '../api/add-partitions-to-txn.ts'
import { byTopic } from '../api/api.ts'
import { END_TXN, type EndTxnResponse } from '../api/end-txn.ts'
import { INIT_PRODUCER_ID, type InitProducerIdResponse } from '../api/init-producer-id.ts'
import type { PartitionError, PartitionErrors } from '../api/partition-errors.ts'
import { TXN_OFFSET_COMMIT } from '../api/txn-offset-commit.ts'
import type { TransactionVersion } from '../cluster/cluster.ts'
import {
  callCoordinator,
  concurrentDelayMs,
  isPassing,
  type CoordinatorCall,
} from './coordinator-call.ts'
import type { Coordinated } from '../cluster/coordinator-cache.ts'
import { CODE } from '../error-codes.ts'
import {
  coordinatorTooLate,
  timeoutRefused,
  transactionRefused,
  type RefusedCall,
} from './producer-errors.ts'
import { isRightAfter, type ProducerIdentity } from './producer-identity.ts'
import type { ProducerPatience } from './producer-limits.ts'
import type { ProducerLink } from './producer-link.ts'

/** The versions of the requests that a version of transactions has. */
export const VERSIONS = Object.freeze({
  1: Object.freeze({ init: 4, produce: 9, offsets: 3, end: 3 }),
  2: Object.freeze({ init: 5, produce: 12, offsets: 5, end: 5 }),
})

/** Whose transactions, and for how long one may be open. */
export interface CoordinationOptions {
  readonly transactionalId: string
  readonly transactionTimeoutMs: number
  readonly limits: ProducerPatience
}

/** Positions of a group, and who commits them. */
export interface OffsetsInGroup {
  readonly offsets: readonly CommittedOffset[]
  readonly group: GroupMetadata
}

/** How a transaction ends. */
export interface EndOptions {
  readonly isCommit: boolean
  /** Default: `coordinatorDeadlineMs`. */
  readonly deadlineMs?: number | undefined
  readonly onLost?: () => void
}

const ADD_VERSION = 3
/** What an init names that does not ask after any identity. */
const NOBODY: ProducerIdentity = Object.freeze({ producerId: -1, producerEpoch: -1 })
const INVALID_TRANSACTION_TIMEOUT = 50
/** Of a partition beside one that was refused. */
const OPERATION_NOT_ATTEMPTED = 55

/** The calls of one transactional id. */
export class TransactionCoordination {
  readonly transactionalId: string
  readonly #link: ProducerLink
  readonly #options: CoordinationOptions
  readonly #what: Coordinated
  #version: TransactionVersion = 1
  #hasUnheardInit = false

  constructor(link: ProducerLink, options: CoordinationOptions) {
    this.transactionalId = options.transactionalId
    this.#link = link
    this.#options = options
    this.#what = { kind: 'transaction', key: options.transactionalId }
  }

  /** Which transactions this session has, since the last init. */
  get version(): TransactionVersion {
    return this.#version
  }

  /** Whether an answer to an init was lost: the broker may serve it still, and raise the epoch once more. */
  get hasUnheardInit(): boolean {
    return this.#hasUnheardInit
  }

  /**
   * An identity that fences all earlier ones, and the end of what they left open. A successor takes two
   * epochs, one right after the other: whatever else raises the epoch of a producer (its age, or an init
   * of its own that was not heard) leaves the epoch after its own to be claimed, and a successor does
   * not. Where somebody came between the two, they are taken anew.
   */
  async init(): Promise<ProducerIdentity> {
    const { limits } = this.#options
    const { initDeadlineMs: deadlineMs } = limits
    const { clock } = this.#link
    const end = clock.monotonic() + deadlineMs
    this.#version = await this.#link.transactionVersion({ deadlineMs })
    let last = await this.#introduce(NOBODY)
    for (let retry = 0; ; retry += 1) {
      const identity = await this.#introduce(NOBODY)
      if (isRightAfter(last, identity)) return identity
      last = identity
      const delayMs = concurrentDelayMs(clock, limits, retry)
      if (clock.monotonic() + delayMs >= end) {
        const cause = new Error('Others take the transactional id at the same time.')
        throw this.#tooLate(INIT_PRODUCER_ID.name, { kind: 'retriable', deadlineMs, cause })
      }
      await sleep(clock, delayMs)
    }
  }

  /**
   * The epoch after an identity, which must still be the newest: fails with kind fenced where another
   * producer took over. What is open of the transactional id is aborted, even that of a successor, as
   * the broker looks at the epoch only afterwards: the successor then claims its next epoch likewise.
   */
  async follow(identity: ProducerIdentity): Promise<ProducerIdentity> {
    return await this.#introduce(identity)
  }

  /** Version 1: partitions that the open transaction is about to write to. */
  async addPartitions(
    identity: ProducerIdentity,
    partitions: readonly TopicPartition[],
    patience: { readonly signal: AbortSignal; readonly onLost: () => void },
  ): Promise<void> {
    const { transactionalId } = this
    const topics = byTopic(partitions).map(({ topic, partitions: of }) => ({
      topic,
      partitions: of.map(({ partition }) => partition),
    }))
    await this.#callForPartitions(
      {
        what: this.#what,
        question: [ADD_PARTITIONS_TO_TXN, { transactionalId, ...identity, topics }],
        version: ADD_VERSION,
      },
      { api: ADD_PARTITIONS_TO_TXN.name, transactionalId },
      patience,
    )
  }

  /** Puts offsets of a group into the open transaction. `onLost` as at `end`. */
  async commitOffsets(
    identity: ProducerIdentity,
    { offsets, group }: OffsetsInGroup,
    onLost: () => void,
  ): Promise<void> {
    const { groupId } = group
    if (this.#version === 1) await this.#addOffsets(identity, groupId, onLost)
    const { transactionalId } = this
    const topics = byTopic(offsets).map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition, offset, metadata }) => {
        return { partition, offset, metadata, leaderEpoch: -1 }
      }),
    }))
    const { generation, memberId, groupInstanceId = null } = group
    const member = { groupId, generation, memberId, groupInstanceId }
    await this.#callForPartitions(
      {
        what: { kind: 'group', key: groupId },
        question: [TXN_OFFSET_COMMIT, { transactionalId, ...identity, ...member, topics }],
        version: VERSIONS[this.#version].offsets,
      },
      { api: TXN_OFFSET_COMMIT.name, transactionalId, groupId },
      { onLost },
    )
  }

  /**
   * Ends the open transaction. Rejects with kind retriable where the outcome is not known; the same
   * call again, with the same identity, then tells it. `onLost` hears of each answer that did not come.
   * Returns the identity from now on, the very same where it stays.
   */
  async end(
    identity: ProducerIdentity,
    { isCommit, deadlineMs, onLost }: EndOptions,
  ): Promise<ProducerIdentity> {
    const { transactionalId } = this
    let answered: EndTxnResponse | undefined
    const request = { transactionalId, ...identity, committed: isCommit }
    const code = await this.#call(
      {
        what: this.#what,
        question: [END_TXN, request],
        version: VERSIONS[this.#version].end,
        codeOf: (answer) => {
          answered = answer
          return answer.errorCode
        },
      },
      { kind: 'retriable', deadlineMs, onLost },
    )
    // Nothing is open of what was to be aborted: the broker has done it, or nothing came that far.
    const isDone = code === CODE.none || (!isCommit && code === CODE.invalidTxnState)
    if (!isDone) throw transactionRefused(code, { api: END_TXN.name, transactionalId })
    const { producerId = -1, producerEpoch = -1 } = answered ?? {}
    const isSame = producerId === identity.producerId && producerEpoch === identity.producerEpoch
    return producerId < 0 || isSame ? identity : { producerId, producerEpoch }
  }

  async #addOffsets(
    identity: ProducerIdentity,
    groupId: string,
    onLost: () => void,
  ): Promise<void> {
    const { transactionalId } = this
    const code = await this.#call(
      {
        what: this.#what,
        question: [ADD_OFFSETS_TO_TXN, { transactionalId, ...identity, groupId }],
        version: ADD_VERSION,
        codeOf: ({ errorCode }) => errorCode,
      },
      { onLost },
    )
    if (code !== CODE.none) {
      throw transactionRefused(code, { api: ADD_OFFSETS_TO_TXN.name, transactionalId, groupId })
    }
  }

  async #introduce(after: ProducerIdentity): Promise<ProducerIdentity> {
    const { transactionTimeoutMs, limits } = this.#options
    const { transactionalId } = this
    let answered: InitProducerIdResponse | undefined
    const onLost = (): void => {
      this.#hasUnheardInit = true
    }
    const code = await this.#call(
      {
        what: this.#what,
        question: [INIT_PRODUCER_ID, { transactionalId, transactionTimeoutMs, ...after }],
        version: VERSIONS[this.#version].init,
        codeOf: (answer) => {
          answered = answer
          return answer.errorCode
        },
      },
      { kind: 'retriable', deadlineMs: limits.initDeadlineMs, onLost },
    )
    if (code === INVALID_TRANSACTION_TIMEOUT) {
      throw timeoutRefused(transactionalId, transactionTimeoutMs)
    }
    if (code !== CODE.none || answered === undefined) {
      throw transactionRefused(code, { api: INIT_PRODUCER_ID.name, transactionalId })
    }
    const { producerId, producerEpoch } = answered
    return { producerId, producerEpoch }
  }

  /** A call whose answer has a code for each partition. Throws what the one that decides was refused with. */
  async #callForPartitions<Q, R extends PartitionErrors>(
    call: Omit<CoordinatorCall<Q, R>, 'codeOf'>,
    about: RefusedCall,
    patience: { readonly signal?: AbortSignal; readonly onLost: () => void },
  ): Promise<void> {
    let refusal: PartitionError | undefined
    const code = await this.#call(
      {
        ...call,
        codeOf: (answer) => {
          refusal = decisive(answer.partitions)
          return refusal?.errorCode ?? CODE.none
        },
      },
      patience,
    )
    if (code !== CODE.none) throw transactionRefused(code, { ...about, topic: refusal?.topic })
  }

  /** The code of the answer. Past the deadline it throws, of a kind that says what that means. */
  async #call<Q, R>(
    call: CoordinatorCall<Q, R>,
    {
      kind = 'abortable',
      deadlineMs = this.#options.limits.coordinatorDeadlineMs,
      signal,
      onLost,
    }: {
      readonly kind?: TransportErrorKind
      readonly deadlineMs?: number | undefined
      readonly signal?: AbortSignal
      readonly onLost?: (() => void) | undefined
    } = {},
  ): Promise<number> {
    const { limits } = this.#options
    const outcome = await callCoordinator(call, {
      link: this.#link,
      limits,
      deadlineMs,
      signal,
      onLost,
    })
    if (outcome.kind === 'answered') return outcome.code
    const { problem } = outcome
    const api = call.question[0].name
    throw this.#tooLate(api, { kind, deadlineMs, cause: problem })
  }

  #tooLate(
    api: string,
    details: {
      readonly kind: TransportErrorKind
      readonly deadlineMs: number
      readonly cause: unknown
    },
  ): TransportError {
    return coordinatorTooLate(api, { place: this.transactionalId, ...details })
  }
}

/** The one partition that decides where an answer has a code for each: what settles it comes before what passes. */
function decisive(partitions: readonly PartitionError[]): PartitionError | undefined {
  const refusals = partitions.filter(
    ({ errorCode }) => errorCode !== CODE.none && errorCode !== OPERATION_NOT_ATTEMPTED,
  )
  return refusals.find(({ errorCode }) => !isPassing(errorCode)) ?? refusals[0]
}
