/**
 * What each idempotent producer wrote last into one partition. A producer numbers its records in a
 * partition without a gap; so an append that was made already is told by its numbers and not made
 * twice, and one that comes after a lost one is refused. Source: Kafka's KIP-98.
 */
import { describePartition, type TopicPartition } from '../../model/position.ts'
import { TransportError } from '../errors.ts'
import { producerFenced } from '../log-errors.ts'
import type { AppendRow, SequenceRow } from './index-rows.ts'

/** How many appends can be told from a new one: as many as a producer may have in flight, in Kafka. */
const REMEMBERED_APPENDS = 5
const SEQUENCES = 2 ** 31

/** Who appends, and the sequences of what is appended. */
export interface SequencedAppend {
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
}

/** The sequence `count` records after `sequence`: they wrap, as in Kafka. */
export function sequenceAfter(sequence: number, count: number): number {
  return (sequence + count) % SEQUENCES
}

/** The producers of one partition. */
export class ProducerSequences {
  readonly #at: TopicPartition
  readonly #rows: Map<number, SequenceRow>

  constructor(at: TopicPartition, rows: Map<number, SequenceRow>) {
    this.#at = at
    this.#rows = rows
  }

  /**
   * The last offset that this very append got before, or undefined where it is new and in order.
   * Throws MILLRACE_PRODUCER_FENCED for an older epoch, MILLRACE_OUT_OF_ORDER after a gap.
   */
  find(append: SequencedAppend): number | undefined {
    const row = this.#rows.get(append.producerId)
    if (row !== undefined && append.producerEpoch < row.epoch)
      throw producerFenced(`of producer ${append.producerId}`)
    const appends = row?.epoch === append.producerEpoch ? row.appends : []
    const last = sequenceAfter(append.baseSequence, append.recordCount - 1)
    const before = appends.find(([first, end]) => first === append.baseSequence && end === last)
    if (before !== undefined) return before[3]
    const newest = appends.at(-1)
    const expected = newest === undefined ? 0 : sequenceAfter(newest[1], 1)
    if (append.baseSequence !== expected) throw this.#outOfOrder(append, expected)
    return undefined
  }

  /** Remembers an append; returns the producer's row for the index. */
  remember(append: SequencedAppend, baseOffset: number, now: number): SequenceRow {
    const row = this.#rows.get(append.producerId)
    const earlier = row?.epoch === append.producerEpoch ? row.appends : []
    const count = append.recordCount
    const added: AppendRow = [
      append.baseSequence,
      sequenceAfter(append.baseSequence, count - 1),
      baseOffset,
      baseOffset + count - 1,
    ]
    const appends = [...earlier.slice(1 - REMEMBERED_APPENDS), added]
    const next: SequenceRow = { epoch: append.producerEpoch, usedAt: now, appends }
    this.#rows.set(append.producerId, next)
    return next
  }

  #outOfOrder(append: SequencedAppend, expected: number): TransportError {
    const place = describePartition(this.#at)
    return new TransportError('MILLRACE_OUT_OF_ORDER', 'abortable', {
      message:
        `Records of producer ${append.producerId} for ${place} came out of order: sequence ` +
        `${append.baseSequence} where ${expected} is next, because an append before them failed. ` +
        'Abort the transaction, or init the producer, and send again.',
      place,
    })
  }
}
