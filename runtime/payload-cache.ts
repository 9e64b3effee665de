/**
 * The bytes behind references, for all tasks of a process: recently read values in a cache bounded
 * in bytes, the rest by a re-read. Nothing that is re-read is trusted: topic id, offset, timestamp,
 * size and CRC-32C must all be those of the reference, because a topic that was deleted and created
 * again may answer with another record at the same offset under the same leader epoch.
 */
import { crc32c } from '../model/crc32c.ts'
import { MillraceError } from '../model/errors.ts'
import { asOffset, asPartition, describePosition, type Topic } from '../model/position.ts'
import type { Lease, Payloads, Reference } from '../processors/payloads.ts'
import type { FoundRecord, Reader } from '../transport/transport.ts'
import { untilAborted } from '../model/until-aborted.ts'

/** Bounds of the cache. */
export interface PayloadCacheLimits {
  /** Bytes of values kept. One value larger than this is not kept at all. */
  readonly maxBytes: number
}

interface Kept {
  readonly bytes: Buffer
  readonly lease: Lease | undefined
}

/** The Payloads of one process. */
export class PayloadCache implements Payloads {
  readonly #reader: Reader
  readonly #maxBytes: number
  /** A Map keeps insertion order: the first entry is the one used longest ago. */
  readonly #kept = new Map<string, Kept>()
  readonly #reading = new Map<string, Promise<Buffer>>()
  readonly #topics = new Map<string, Topic>()
  #bytes = 0

  constructor(reader: Reader, limits: PayloadCacheLimits) {
    this.#reader = reader
    this.#maxBytes = limits.maxBytes
  }

  /** Makes the topic of an id known, so that references to it can be read again. */
  addTopic(topicId: string, topic: Topic): void {
    this.#topics.set(topicId, topic)
  }

  keep(reference: Reference, bytes: Buffer, lease?: Lease): void {
    const key = keyOf(reference)
    if (bytes.length > this.#maxBytes || this.#kept.has(key)) return
    lease?.hold()
    this.#kept.set(key, { bytes, lease })
    this.#bytes += bytes.length
    for (const [oldest, value] of this.#kept) {
      if (this.#bytes <= this.#maxBytes) break
      this.#kept.delete(oldest)
      this.#bytes -= value.bytes.length
      value.lease?.letGo()
    }
  }

  peek(reference: Reference): Buffer | undefined {
    const key = keyOf(reference)
    const kept = this.#kept.get(key)
    if (kept === undefined) return undefined
    this.#kept.delete(key)
    this.#kept.set(key, kept)
    // Whoever asked may keep what is answered, and says nothing.
    kept.lease?.giveUp()
    return kept.bytes
  }

  async read(reference: Reference, signal: AbortSignal): Promise<Buffer> {
    const kept = this.peek(reference)
    if (kept !== undefined) return kept
    signal.throwIfAborted()
    const key = keyOf(reference)
    let reading = this.#reading.get(key)
    if (reading === undefined) {
      // Shared by all who ask meanwhile: one who stops waiting must not end it for the others.
      reading = this.#readAgain(reference).finally(() => this.#reading.delete(key))
      reading.catch(() => {})
      this.#reading.set(key, reading)
    }
    return await untilAborted(reading, signal)
  }

  async #readAgain(reference: Reference): Promise<Buffer> {
    const topic = this.#topics.get(reference.topicId)
    if (topic === undefined) throw gone(reference, `no topic here has the id ${reference.topicId}`)
    const at = {
      topic,
      partition: asPartition(reference.partition),
      offset: asOffset(reference.offset),
    }
    const place = describePosition(at)
    const found = await this.#reader.readAt(at)
    if (found === undefined) throw gone(reference, `${place} is not in the log any more`)
    const bytes = found.record.value
    const difference = differenceOf(reference, found, bytes)
    if (bytes === null || difference !== undefined) {
      throw gone(reference, `${place} holds another record now (${difference ?? 'no value'})`)
    }
    this.keep(reference, bytes)
    return bytes
  }
}

function keyOf(reference: Reference): string {
  return `${reference.topicId}/${reference.partition}/${reference.offset}`
}

function differenceOf(
  reference: Reference,
  found: FoundRecord,
  bytes: Buffer | null,
): string | undefined {
  if (found.topicId !== reference.topicId) return 'the topic was created anew'
  if (found.record.timestamp !== reference.timestamp) return 'its timestamp differs'
  if (bytes?.length !== reference.sizeBytes) return 'its size differs'
  if ((found.record.valueCrc ?? crc32c(bytes)) !== reference.crc32c) return 'its checksum differs'
  return undefined
}

function gone(reference: Reference, why: string): MillraceError {
  return new MillraceError(
    'MILLRACE_REFERENCE_GONE',
    `the value that a reference stands for cannot be read: ${why}. ` +
      'Give the topic a retention longer than the slowest enrichment takes, and do not delete a topic that an app still refers to.',
    { place: `${reference.topicId}[${reference.partition}]@${reference.offset}` },
  )
}
