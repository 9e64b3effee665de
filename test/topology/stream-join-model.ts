/**
 * What a stream–stream join has to give, the long way: lists that are scanned, no stores, no heaps. It
 * knows two worlds: Kafka Streams 4.1, its known defects included, and this one.
 */
import { retentionMs, type JoinWindows } from '../../processors/join-windows.ts'

/** Which sides' records come out alone where they meet nobody. */
export type ModelKind = 'join' | 'leftJoin' | 'outerJoin'

/** A record that comes in. */
export interface ModelRecord {
  readonly side: 'left' | 'right'
  readonly key: string | null
  readonly value: string | null
  readonly timestampMs: number
  /** What its headers say. */
  readonly header: string
}

interface Kept {
  readonly key: string
  readonly value: string
  readonly timestampMs: number
}

interface Waiting {
  readonly side: 'left' | 'right'
  readonly key: string
  readonly timestampMs: number
  readonly values: string[]
}

/** A join, one record after the other. */
export class StreamJoinModel {
  readonly #kind: ModelKind
  readonly #windows: JoinWindows
  /** Kafka Streams with all it does, or what is written down as right. */
  readonly #isKafka: boolean
  readonly #kept = { left: [] as Kept[], right: [] as Kept[] }
  readonly #observed = { left: -1, right: -1 }
  #waiting: Waiting[] = []
  #streamTime = -1
  #minTime = Infinity

  constructor(kind: ModelKind, windows: JoinWindows, world: 'kafka' | 'here') {
    this.#kind = kind
    this.#windows = windows
    this.#isKafka = world === 'kafka'
  }

  /** `key value timestamp header` of each record that comes out. */
  take({ side, key, value, timestampMs, header }: ModelRecord): readonly string[] {
    const out: string[] = []
    const emit = (k: string | null, v: string, t: number): void =>
      void out.push(`${k ?? '~'} ${v} ${t} ${header}`)
    this.#streamTime = Math.max(this.#streamTime, timestampMs)
    if (value === null) return out
    if (key === null) {
      if (this.#isOuter(side)) emit(null, alone(side, value), timestampMs)
      return out
    }
    if (timestampMs === this.#streamTime && this.#kind !== 'join') this.#close(side, emit)
    const partners = this.#partners(side, key, timestampMs)
    for (const partner of partners) {
      this.#waiting = this.#waiting.filter((each) => !isOf(each, other(side), partner))
      const joined = side === 'left' ? `${value}+${partner.value}` : `${partner.value}+${value}`
      emit(key, joined, Math.max(timestampMs, partner.timestampMs))
    }
    if (partners.length === 0 && this.#isOuter(side)) {
      const graceMs = this.#isKafka ? 0 : this.#windows.graceMs
      const endMs = timestampMs + this.#aheadMs(side)
      const isOver = (this.#isKafka ? Math.max(0, endMs) : endMs) + graceMs < this.#streamTime
      if (isOver) emit(key, alone(side, value), timestampMs)
      else this.#wait(side, { key, value, timestampMs })
    }
    this.#keep(side, { key, value, timestampMs })
    return out
  }

  #partners(side: 'left' | 'right', key: string, timestampMs: number): readonly Kept[] {
    const there = other(side)
    const clamp = (ms: number): number => (this.#isKafka ? Math.max(0, ms) : ms)
    const from = clamp(timestampMs - this.#aheadMs(there))
    const to = clamp(timestampMs + this.#aheadMs(side))
    return this.#kept[there]
      .filter((kept) => kept.key === key && kept.timestampMs >= from && kept.timestampMs <= to)
      .filter((kept) => this.#isLive(there, kept.timestampMs))
      .toSorted((a, b) => a.timestampMs - b.timestampMs)
  }

  #isLive(side: 'left' | 'right', timestampMs: number): boolean {
    const { beforeMs, afterMs, graceMs } = this.#windows
    const keptMs = this.#isKafka ? beforeMs + afterMs + graceMs : retentionMs(this.#windows)
    return timestampMs > this.#observed[side] - keptMs
  }

  #keep(side: 'left' | 'right', kept: Kept): void {
    this.#observed[side] = Math.max(this.#observed[side], kept.timestampMs)
    this.#kept[side].push(kept)
  }

  #wait(side: 'left' | 'right', { key, value, timestampMs }: Kept): void {
    this.#minTime = Math.min(this.#minTime, timestampMs)
    const there = this.#waiting.find((each) => isOf(each, side, { key, timestampMs }))
    if (there === undefined) this.#waiting.push({ side, key, timestampMs, values: [value] })
    else there.values.push(value)
  }

  #close(side: 'left' | 'right', emit: (k: string, v: string, t: number) => void): void {
    const { graceMs } = this.#windows
    const isOpen = (each: Waiting): boolean =>
      each.timestampMs + this.#aheadMs(each.side) + graceMs >= this.#streamTime
    const inOrder = this.#waiting.toSorted(inJavaOrder)
    const over = this.#isKafka
      ? this.#closedByScan(inOrder, { side, isOpen })
      : inOrder.filter((each) => !isOpen(each))
    for (const { side: its, key, timestampMs, values } of over) {
      for (const value of values) emit(key, alone(its, value), timestampMs)
    }
    this.#waiting = this.#waiting.filter((each) => !over.includes(each))
  }

  /** Kafka Streams looks at all that waits, but only where the oldest that it saw last may be over, which it takes to be so for a window of the record's side. */
  #closedByScan(
    inOrder: readonly Waiting[],
    { side, isOpen }: { side: 'left' | 'right'; isOpen: (each: Waiting) => boolean },
  ): readonly Waiting[] {
    const oldest = this.#minTime + this.#aheadMs(side) + this.#windows.graceMs
    if (this.#minTime < Infinity && oldest >= this.#streamTime) return []
    this.#minTime = Infinity
    const open = new Set<string>()
    const over: Waiting[] = []
    for (const each of inOrder) {
      this.#minTime = each.timestampMs
      if (open.size === 2) break
      if (isOpen(each)) open.add(each.side)
      else over.push(each)
    }
    return over
  }

  /** How much younger than a record of that side its partner may be. */
  #aheadMs(side: 'left' | 'right'): number {
    return side === 'left' ? this.#windows.afterMs : this.#windows.beforeMs
  }

  #isOuter(side: 'left' | 'right'): boolean {
    return this.#kind === 'outerJoin' || (this.#kind === 'leftJoin' && side === 'left')
  }
}

function other(side: 'left' | 'right'): 'left' | 'right' {
  return side === 'left' ? 'right' : 'left'
}

function alone(side: 'left' | 'right', value: string): string {
  return side === 'left' ? `${value}+null` : `null+${value}`
}

function isOf(
  each: Waiting,
  side: 'left' | 'right',
  { key, timestampMs }: Pick<Kept, 'key' | 'timestampMs'>,
): boolean {
  return each.side === side && each.key === key && each.timestampMs === timestampMs
}

/** By time, the right side first, then by key. */
function inJavaOrder(a: Waiting, b: Waiting): number {
  if (a.timestampMs !== b.timestampMs) return a.timestampMs - b.timestampMs
  if (a.side !== b.side) return a.side === 'right' ? -1 : 1
  return a.key < b.key ? -1 : 1
}
