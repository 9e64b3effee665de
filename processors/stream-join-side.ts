/**
 * One side of a stream–stream join at work: what happens to a record. Source of the rules:
 * KStreamKStreamJoin of Kafka Streams 4.1; docs/differences.md lists where this one differs.
 */
import { StreamRecord } from '../model/record.ts'
import type { JoinWindowStore, ValueAndTimestamp } from '../state/store.ts'
import type { Processor, ProcessorContext } from './processor.ts'
import type { StreamJoinProgress } from './stream-join-progress.ts'

/** What one side is made of: Mine are its own values, Other those of the other stream. */
export interface StreamJoinSideParts<K, Mine, Other, Out> {
  readonly isLeft: boolean
  /** How much older a partner may be. */
  readonly backMs: number
  /** How much younger. */
  readonly aheadMs: number
  readonly graceMs: number
  readonly others: JoinWindowStore<K, Other>
  readonly progress: StreamJoinProgress<K, Out>
  readonly join: (mine: Mine, other: Other, key: K) => Out
  /** What comes out for a record that meets nobody; undefined where nothing does. */
  readonly alone: ((mine: Mine, key: K) => Out) | undefined
  /** Puts a record with those that wait for a partner. */
  readonly wait: (record: StreamRecord<K, Mine>) => void
}

/** The running half of one side. */
export class StreamJoinSide<K, Mine, Other, Out> implements Processor<K, Mine> {
  readonly #parts: StreamJoinSideParts<K, Mine, Other, Out>
  readonly #context: ProcessorContext<K, Out>

  constructor(context: ProcessorContext<K, Out>, parts: StreamJoinSideParts<K, Mine, Other, Out>) {
    this.#context = context
    this.#parts = parts
    parts.progress.addRows(parts.others)
  }

  async open(): Promise<void> {
    if (this.#parts.isLeft) await this.#parts.progress.open()
  }

  beforeCommit(): void {
    if (this.#parts.isLeft) this.#parts.progress.keepTime()
  }

  readonly process = (record: StreamRecord<K, Mine>): void => {
    const { progress, others, backMs, aheadMs, alone } = this.#parts
    const { key, value, timestamp } = record
    progress.observe(timestamp)
    if (isAbsent(value) || (isAbsent(key) && alone === undefined)) {
      this.#context.count('dropped-records')
      return
    }
    if (isAbsent(key)) {
      this.#forwardAlone(record)
      return
    }
    this.#emitClosed(record)
    const found = others.fetch(key, timestamp - backMs, timestamp + aheadMs)
    for (const other of found) this.#meet(record, other)
    if (alone !== undefined && found.length === 0) this.#meetNobody(record)
  }

  #meet(
    { key, value, timestamp, headers }: StreamRecord<K, Mine>,
    other: ValueAndTimestamp<Other>,
  ): void {
    const { join, progress, isLeft } = this.#parts
    // First of all: where the author's function throws and the record is left out, its partner waits on.
    const joined = join(value, other.value, key)
    progress.unjoined?.remove({ isLeft: !isLeft, key, timestamp: other.timestamp }, timestamp)
    const time = Math.max(timestamp, other.timestamp)
    this.#context.forward(new StreamRecord(key, joined, time, headers))
  }

  /** It waits as long as a partner may come, and not at all where none may come any more. */
  #meetNobody(record: StreamRecord<K, Mine>): void {
    const { progress, aheadMs, graceMs, wait } = this.#parts
    const endMs = record.timestamp + aheadMs + graceMs
    if (progress.isOver(endMs, this.#context.heldTime)) this.#forwardAlone(record)
    else wait(record)
  }

  #forwardAlone(record: StreamRecord<K, Mine>): void {
    const { alone } = this.#parts
    if (alone !== undefined) {
      this.#context.forward(record.withValue(alone(record.value, record.key)))
    }
  }

  /** Before the record is joined, and with its headers: those of records that wait are not kept. */
  #emitClosed({ timestamp, headers }: StreamRecord<K, Mine>): void {
    const { progress } = this.#parts
    const time = progress.closingTime(timestamp, this.#context.heldTime)
    if (time === undefined) return
    for (;;) {
      const closed = progress.unjoined?.takeClosed(time)
      if (closed === undefined) return
      for (const result of closed.results) {
        this.#context.forward(new StreamRecord(closed.key, result, closed.timestamp, headers))
      }
    }
  }
}

function isAbsent(part: unknown): boolean {
  return part === null || part === undefined
}
