/**
 * What both sides of a stream–stream join share in a task: how far time has come, and which records
 * wait for a partner. Time is the largest timestamp that reached either side, of records without key
 * or value too. It decides what may still wait, so it has to be the same after a restart, or a replay
 * would give other results. Mostly the stores of the two sides tell it; where a record that is in
 * neither of them has the largest timestamp, it is kept beside what waits.
 */
import type { JoinWindowStore } from '../state/store.ts'
import type { UnjoinedRecords } from './unjoined-records.ts'

/** A side's store, as far as it tells time. */
type TimedRows = Pick<JoinWindowStore<unknown, unknown>, 'observedMs'>

/** What waits, whatever its values are. */
type Unjoined<K, Out> = Pick<
  UnjoinedRecords<K, never, never, Out>,
  'size' | 'open' | 'keptTime' | 'keepTime' | 'remove' | 'takeClosed'
>

/** The shared part of a join, in one incarnation of a task. */
export class StreamJoinProgress<K, Out> {
  /** Undefined where nothing comes out alone: then nobody asks for the time. */
  readonly unjoined: Unjoined<K, Out> | undefined
  #streamTime = -1
  /** Whether records upstream keep windows open that are over by stream time. */
  #isHeldBack = false
  readonly #rows: TimedRows[] = []

  constructor(unjoined: Unjoined<K, Out> | undefined) {
    this.unjoined = unjoined
  }

  /** Each side brings the store that it reads, before anything runs. */
  addRows(rows: TimedRows): void {
    this.#rows.push(rows)
  }

  /** Goes on where the last commit left off. */
  async open(): Promise<void> {
    if (this.unjoined === undefined) return
    await this.unjoined.open()
    this.#streamTime = Math.max(this.unjoined.keptTime, this.#storedTime())
  }

  /** Before a commit. */
  keepTime(): void {
    const isTold = this.#streamTime === this.#storedTime()
    this.unjoined?.keepTime(isTold ? undefined : this.#streamTime)
  }

  observe(timestamp: number): void {
    if (timestamp > this.#streamTime) this.#streamTime = timestamp
  }

  /**
   * The time by which windows are closed before a record with this timestamp is joined; undefined
   * where none is. It never passes what is held upstream, so that a slow service does not cost a
   * record its partner; and a late record closes nothing, unless time was held back before.
   */
  closingTime(timestamp: number, heldTime: () => number): number | undefined {
    if (this.unjoined === undefined || this.unjoined.size === 0) return undefined
    if (timestamp < this.#streamTime && !this.#isHeldBack) return undefined
    const time = Math.min(timestamp, heldTime())
    this.#isHeldBack = time < this.#streamTime
    return time
  }

  /** Whether nobody can come any more to a record whose window, grace included, ends at `endMs`. */
  isOver(endMs: number, heldTime: () => number): boolean {
    const time = Math.min(this.#streamTime, heldTime())
    if (time < this.#streamTime) this.#isHeldBack = true
    return endMs < time
  }

  #storedTime(): number {
    return Math.max(-1, ...this.#rows.map(({ observedMs }) => observedMs))
  }
}
