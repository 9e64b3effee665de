/**
 * A partition as a broker keeps it, with the checks of `ProducerAppendInfo` and
 * `ProducerStateManager`: epochs, sequences, and the last five batches of each producer, by which a
 * repetition is told. One that knows nothing of a producer takes any sequence, as a real one does.
 */
import assert from 'node:assert/strict'
import {
  readBatchHeader,
  decodeRecords,
  verifyBatch,
  BATCH_HEADER_BYTES,
} from '../../../transport/record-batch.ts'
import { decompress } from '../../../transport/kafka/codecs.ts'
import { CODE } from '../../../transport/kafka/error-codes.ts'
import type { LogRecord } from '../../../model/record.ts'

/** A record in the log. */
export interface Kept {
  readonly value: string
  readonly producerId: number
  state: 'open' | 'committed' | 'aborted'
}

/** A batch as it arrives. */
export interface Arrived {
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly transactional: boolean
  readonly values: readonly string[]
  readonly sizeBytes: number
}

interface Known {
  epoch: number
  batches: { readonly first: number; readonly last: number; readonly baseOffset: number }[]
}

/** How an append came out. */
export interface Appended {
  readonly errorCode: number
  readonly baseOffset: number
}

export class FakePartition {
  leader = 1
  leaderEpoch = 0
  readonly log: Kept[] = []
  readonly #producers = new Map<number, Known>()

  /** What a broker does that does not lead, or leads now. */
  lead(node: number): void {
    this.leader = node
    this.leaderEpoch += 1
  }

  /** An election lost the end of the log, and what was known of producers with it. */
  lose(records: number): void {
    this.log.splice(this.log.length - records)
    for (const known of this.#producers.values()) {
      known.batches = known.batches.filter(({ baseOffset }) => baseOffset < this.log.length)
    }
  }

  /** Forgets all producers, as after retention. */
  forget(): void {
    this.#producers.clear()
  }

  append(batch: Arrived): Appended {
    const { producerId, producerEpoch, baseSequence, values } = batch
    const known = this.#producers.get(producerId)
    const last = baseSequence + values.length - 1
    if (known !== undefined && producerEpoch < known.epoch) {
      return { errorCode: CODE.invalidProducerEpoch, baseOffset: -1 }
    }
    const isSameEpoch = known?.epoch === producerEpoch
    const before = isSameEpoch
      ? known.batches.find((one) => one.first === baseSequence && one.last === last)
      : undefined
    if (before !== undefined) return { errorCode: CODE.none, baseOffset: before.baseOffset }
    const expected = isSameEpoch ? (known.batches.at(-1)?.last ?? -1) + 1 : 0
    if (known !== undefined && baseSequence !== expected) {
      return { errorCode: CODE.outOfOrderSequence, baseOffset: -1 }
    }
    const baseOffset = this.log.length
    const state = batch.transactional ? 'open' : 'committed'
    for (const value of values) this.log.push({ value, producerId, state })
    const batches = [
      ...(isSameEpoch ? known.batches : []),
      { first: baseSequence, last, baseOffset },
    ]
    this.#producers.set(producerId, { epoch: producerEpoch, batches: batches.slice(-5) })
    return { errorCode: CODE.none, baseOffset }
  }

  /** The marker of a transaction's end, which brings the epoch of whoever ended it. */
  mark(producerId: number, epoch: number, state: 'committed' | 'aborted'): void {
    for (const kept of this.log) {
      if (kept.producerId === producerId && kept.state === 'open') kept.state = state
    }
    const known = this.#producers.get(producerId)
    if (known === undefined || known.epoch < epoch) {
      this.#producers.set(producerId, { epoch, batches: [] })
    }
  }

  /** What read_committed shows, once no transaction is open. */
  get visible(): readonly string[] {
    return this.log.filter(({ state }) => state === 'committed').map(({ value }) => value)
  }
}

/** Reads a batch from the parts of a request, and checks its CRC. */
export function arrivedBatch(parts: readonly Buffer[]): Arrived {
  const bytes = Buffer.concat(parts)
  const header = readBatchHeader(bytes, 0)
  assert.equal(header.sizeBytes, bytes.length, 'one batch a partition')
  verifyBatch(bytes, 0, header)
  const body = bytes.subarray(BATCH_HEADER_BYTES)
  const buffer = header.compression === 0 ? body : decompress(header.compression, body, 2 ** 30)
  const into: LogRecord[] = []
  decodeRecords({ buffer, at: 0, end: buffer.length }, header, { into })
  const { producerId, producerEpoch, baseSequence, transactional, sizeBytes } = header
  const values = into.map((record) => record.value?.toString() ?? '')
  return { producerId, producerEpoch, baseSequence, transactional, sizeBytes, values }
}
