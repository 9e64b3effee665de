/**
 * Whether the buffers of a fetched batch may be used again. Values that are read by reference stay in
 * the payload cache as views of the batch they came in, and most leave it unread: those buffers of
 * megabytes go back to their reader instead of being made anew for each fetch, which is what the
 * garbage collector runs for.
 *
 * The rule: only what the runtime counts may hold such a batch. Wherever its bytes go out of sight (a
 * step that looks at the source record, a dead letter, a value that is handed to an author's
 * function) the batch is given up, and is the garbage collector's as all others are. Keys and headers
 * are copied, for they go on with the record. Lending a value to an author's function until it returns
 * was rejected: nothing would tell one that keeps it from one that does not.
 */
import type { LogRecord } from '../model/record.ts'
import type { Lease } from '../processors/payloads.ts'
import type { FetchedBatch } from '../transport/transport.ts'

/** The lease of one batch, held once when it is made. */
export class BatchLease implements Lease {
  #batch: FetchedBatch | undefined
  #holders = 1

  constructor(batch: FetchedBatch) {
    this.#batch = batch
  }

  hold(): void {
    this.#holders += 1
  }

  letGo(): void {
    this.#holders -= 1
    if (this.#holders > 0) return
    this.#batch?.release()
    this.#batch = undefined
  }

  giveUp(): void {
    this.#batch = undefined
  }
}

/** What goes on of a record in a leased batch, as copies: values that are read from it may be views. */
export function copiedParts(
  record: LogRecord,
): Pick<LogRecord, 'keyBuffer' | 'keyStart' | 'keyEnd' | 'headers'> {
  const { keyStart, keyEnd, headers } = record
  const length = Math.max(0, keyEnd - keyStart)
  return {
    keyBuffer: Buffer.from(record.keyBuffer.subarray(keyStart, keyStart + length)),
    keyStart: 0,
    // A key that is null has its end below zero.
    keyEnd: keyEnd < 0 ? keyEnd : length,
    headers: headers.map(({ key, value }) => ({
      key,
      value: value === null ? null : Buffer.from(value),
    })),
  }
}
