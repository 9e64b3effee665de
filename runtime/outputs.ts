/**
 * What a unit's tasks send. While commit N is on its way the loop goes on, and what it sends belongs
 * to N+1: it is held here, for the producer must not see a record of N+1 before N is resolved (it
 * would join N's transaction, or hang). Bounded in bytes: `full` stops the loop until N is resolved.
 */
import { LentBuffers } from '../serdes/lent-buffers.ts'
import type { Producer, ProducerRecord } from '../transport/transport.ts'

/** The outputs of one commit unit on their way to its producer. */
export class Outputs {
  /** For large values: their buffers are used again once the commit that they belong to is resolved. */
  readonly room = new LentBuffers()
  readonly #producer: Producer
  readonly #maxHeldBytes: number
  #holding = false
  #held: ProducerRecord[] = []
  #heldBytes = 0
  #sent = 0
  /** Values in lent buffers: of the next commit, and of the one on its way. */
  #lent: Buffer[] = []
  #leaving: Buffer[] = []

  constructor(producer: Producer, limits: { readonly maxHeldBytes: number }) {
    this.#producer = producer
    this.#maxHeldBytes = limits.maxHeldBytes
  }

  /** Sends a record, or holds it back while a commit is on its way. */
  emit(record: ProducerRecord): void {
    this.#sent += 1
    if (record.value !== null && this.room.has(record.value)) this.#lent.push(record.value)
    if (!this.#holding) {
      this.#producer.send(record)
      return
    }
    this.#held.push(record)
    this.#heldBytes += (record.key?.length ?? 0) + (record.value?.length ?? 0)
  }

  /** Sends a record of the commit that is on its way: a sealed change. */
  emitNow(record: ProducerRecord): void {
    this.#producer.send(record)
  }

  /** From here on records belong to the next commit. */
  hold(): void {
    this.#holding = true
    this.#leaving = this.#lent
    this.#lent = []
  }

  /** The commit is resolved: what was held goes out, in order. */
  release(): void {
    this.#holding = false
    for (const value of this.#leaving) this.room.giveBack(value)
    this.#leaving = []
    const held = this.#held
    this.#held = []
    this.#heldBytes = 0
    for (const record of held) this.#producer.send(record)
  }

  /** The transaction is aborted: what was held is forgotten with it. */
  drop(): void {
    this.#holding = false
    this.#lent = []
    this.#leaving = []
    this.room.forget()
    this.#held = []
    this.#heldBytes = 0
  }

  /** How many records were emitted since the unit started. */
  get emitted(): number {
    return this.#sent
  }

  /** Bytes that the next commit frees: those that wait here or in the producer, and lent buffers, which stay lent until then though their records were acknowledged long ago. */
  get bufferedBytes(): number {
    const lentBytes = this.#lent.reduce((bytes, { length }) => bytes + length, 0)
    return Math.max(this.#heldBytes + this.#producer.bufferedBytes, lentBytes)
  }

  /** Whether the loop has to wait for the commit on its way. */
  get full(): boolean {
    return this.#holding && this.#heldBytes >= this.#maxHeldBytes
  }
}
