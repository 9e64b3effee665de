/**
 * The join for keys that come once on each side, like (video id, chunk offset): whichever comes first
 * waits in a key-value store, the second emits and takes it away. Nothing is kept after a match, so
 * the state is as large as what is under way and not as a window.
 *
 * What never meets is expired, by the data's time alone: when the other side's observed time has
 * passed its timestamp + expireAfter. Records that wait upstream in the task hold that time back, so
 * a slow service never makes a join drop its partner; observed times are kept with each commit, so
 * that a replay expires the same rows.
 */
import { StreamRecord, NO_HEADERS } from '../model/record.ts'
import { MillraceError } from '../model/errors.ts'
import { float64, text } from '../serdes/primitives.ts'
import type { OpenSerde, Serde } from '../serdes/serde.ts'
import type { KeyValueStore, KeyValueStoreSpec } from '../state/store.ts'
import type { Processor, ProcessorContext, ProcessorSpec } from './processor.ts'
import { TimestampQueue } from './timestamp-queue.ts'

/** What happens to a record whose partner never came. */
export type ExpiryPolicy<L, R, Out> =
  | 'drop'
  | 'dead-letter'
  /** Emits what this gives; the side that never came is null. */
  | { readonly emit: (left: L | null, right: R | null) => Out }

/** Options of `joinOnce`. */
export interface JoinOnceOptions<L, R, Out> {
  /** How long a record waits for its partner, in milliseconds of the other side's time. */
  readonly expireAfter: number
  /** Default drop, counted as `expired`. The record itself stays in its topic. */
  readonly onExpire?: ExpiryPolicy<L, R, Out>
}

/** A join as the topology declares it. */
export interface JoinOnceDeclaration<K, L, R, Out> {
  readonly name: string
  readonly key: Serde<K>
  readonly left: Serde<L>
  readonly right: Serde<R>
  readonly join: (left: L, right: R) => Out
  readonly options: JoinOnceOptions<L, R, Out>
}

/** The processor of a join: its first parent is the left side, its second the right. */
export function joinOnce<K, L, R, Out>(
  declaration: JoinOnceDeclaration<K, L, R, Out>,
): ProcessorSpec<K, L | R, K, Out> {
  const { name, key } = declaration
  const left = waitingStore(`${name}-left`, key, declaration.left)
  const right = waitingStore(`${name}-right`, key, declaration.right)
  const times = timesStore(name)
  return {
    kind: 'joinOnce',
    name,
    ...(declaration.options.onExpire === 'dead-letter' ? { deadLetters: true } : {}),
    stores: [left, right, times],
    serdes: {
      key: { serde: key, topic: left.name, role: 'key' },
      left: { serde: declaration.left, topic: left.name, role: 'value' },
      right: { serde: declaration.right, topic: right.name, role: 'value' },
    },
    create: (context) =>
      new JoinOnce(declaration, context, {
        left: context.store(left),
        right: context.store(right),
        times: context.store(times),
      }),
  }
}

function waitingStore<K, V>(name: string, key: Serde<K>, value: Serde<V>): KeyValueStoreSpec<K, V> {
  return { kind: 'key-value', name, key, value, persistent: true, logged: true }
}

function timesStore(name: string): KeyValueStoreSpec<string, number> {
  return {
    kind: 'key-value',
    name: `${name}-times`,
    key: text,
    value: float64,
    persistent: true,
    logged: true,
  }
}

type Combine<Mine, Other, Out> = (mine: Mine, other: Other) => Out

class JoinOnce<K, L, R, Out> implements Processor<K, L | R> {
  readonly inputs: Processor<K, L | R>['inputs'] & readonly unknown[]
  readonly #left: Side<K, L>
  readonly #right: Side<K, R>
  readonly #context: ProcessorContext<K, Out>
  readonly #key: OpenSerde<K>
  readonly #declaration: JoinOnceDeclaration<K, L, R, Out>

  constructor(
    declaration: JoinOnceDeclaration<K, L, R, Out>,
    context: ProcessorContext<K, Out>,
    stores: {
      readonly left: KeyValueStore<K, L>
      readonly right: KeyValueStore<K, R>
      readonly times: KeyValueStore<string, number>
    },
  ) {
    const { join } = declaration
    this.#declaration = declaration
    this.#context = context
    this.#key = context.serde('key')
    this.#left = new Side('left', stores.left, stores.times)
    this.#right = new Side('right', stores.right, stores.times)
    this.inputs = [
      // Each parent's stream carries its own side's type; the contract knows only their union.
      (record) => this.#take(record as StreamRecord<K, L>, this.#left, this.#right, join),
      (record) =>
        this.#take(record as StreamRecord<K, R>, this.#right, this.#left, (right, left) =>
          join(left, right),
        ),
    ]
  }

  process = (): void => {
    throw new TypeError('a join takes records by its inputs')
  }

  async open(): Promise<void> {
    await this.#left.open(this.#key)
    await this.#right.open(this.#key)
  }

  beforeCommit(): void {
    this.#left.keepTime()
    this.#right.keepTime()
  }

  // eslint-disable-next-line max-params -- one call per record: an options object would be garbage.
  #take<Mine, Other>(
    record: StreamRecord<K, Mine>,
    mine: Side<K, Mine>,
    other: Side<K, Other>,
    combine: Combine<Mine, Other, Out>,
  ): void {
    const { key, value, timestamp } = record
    mine.observe(timestamp)
    if (key === null || key === undefined || value === null || value === undefined) {
      this.#context.count('dropped-records')
    } else {
      const id = this.#idOf(key)
      const partner = other.waiting(key, id)
      if (partner === undefined) {
        if (mine.keep(record, id)) this.#context.count('replaced')
      } else {
        // Before the partner is taken away: where the author's function throws and the record is left out, it waits on.
        const joined = combine(value, partner.value)
        other.takeAway(key, id, timestamp)
        const time = Math.max(timestamp, partner.timestamp)
        this.#context.count('joined')
        this.#context.forward(new StreamRecord(key, joined, time, record.headers))
      }
    }
    this.#expire()
  }

  #idOf(key: K): string {
    return this.#key.serialize(key).toString('latin1', this.#key.prefix.length)
  }

  #expire(): void {
    const { expireAfter } = this.#declaration.options
    const held = this.#context.heldTime()
    const leftLimit = Math.min(this.#right.observed, held) - expireAfter
    const rightLimit = Math.min(this.#left.observed, held) - expireAfter
    for (let row = this.#left.takeBefore(leftLimit); row; row = this.#left.takeBefore(leftLimit)) {
      this.#conclude(row, [row.value, null])
    }
    for (
      let row = this.#right.takeBefore(rightLimit);
      row;
      row = this.#right.takeBefore(rightLimit)
    ) {
      this.#conclude(row, [null, row.value])
    }
  }

  #conclude(row: WaitingRow<K, L | R>, [left, right]: readonly [L | null, R | null]): void {
    const policy = this.#declaration.options.onExpire ?? 'drop'
    this.#context.count('expired')
    if (policy === 'drop') return
    if (policy === 'dead-letter') {
      this.#deadLetter(row, left, right)
      return
    }
    const out = policy.emit(left, right)
    this.#context.forward(new StreamRecord(row.key, out, row.timestamp, NO_HEADERS))
  }

  #deadLetter(row: WaitingRow<K, L | R>, left: L | null, right: R | null): void {
    const context = this.#context
    const value =
      left === null
        ? context.serde<R>('right').serialize(right as R)
        : context.serde<L>('left').serialize(left)
    context.deadLetter({
      error: new MillraceError(
        'MILLRACE_JOIN_EXPIRED',
        `the partner of a ${left === null ? 'right' : 'left'} record of join ${context.name} did not come within ${this.#declaration.options.expireAfter} ms. ` +
          'If partners may come later than that, raise expireAfter.',
        { place: context.name, remedy: 'skip' },
      ),
      key: this.#key.serialize(row.key),
      value,
      timestamp: row.timestamp,
      headers: NO_HEADERS,
      topic: undefined,
      partition: context.partition,
      offset: undefined,
    })
  }
}

interface WaitingRow<K, V> {
  readonly key: K
  readonly value: V
  readonly timestamp: number
}

/** What waits on one side, and how far that side's time has come. */
class Side<K, V> {
  /** The largest timestamp this side has seen; -1 before the first. */
  observed = -1
  readonly #name: string
  readonly #store: KeyValueStore<K, V>
  readonly #times: KeyValueStore<string, number>
  readonly #queue = new TimestampQueue<string>()
  readonly #keys = new Map<string, K>()
  #kept = -1

  constructor(name: string, store: KeyValueStore<K, V>, times: KeyValueStore<string, number>) {
    this.#name = name
    this.#store = store
    this.#times = times
  }

  async open(serde: OpenSerde<K>): Promise<void> {
    this.observed = this.#times.get(this.#name) ?? -1
    this.#kept = this.observed
    for await (const [key, { timestamp }] of this.#store.range()) {
      const id = serde.serialize(key).toString('latin1', serde.prefix.length)
      this.#keys.set(id, key)
      this.#queue.add(id, timestamp)
    }
  }

  observe(timestamp: number): void {
    if (timestamp > this.observed) this.observed = timestamp
  }

  keepTime(): void {
    if (this.observed === this.#kept) return
    this.#times.put(this.#name, this.observed, this.observed)
    this.#kept = this.observed
  }

  /** Lets a record wait; true where it replaced one that waited. */
  keep({ key, value, timestamp }: StreamRecord<K, V>, id: string): boolean {
    const replaces = this.#keys.has(id)
    if (replaces) this.#store.put(key, value, timestamp)
    else this.#store.insert(key, value, timestamp)
    this.#keys.set(id, key)
    this.#queue.add(id, timestamp)
    return replaces
  }

  /** The record that waits under a key; undefined where none does. */
  waiting(key: K, id: string): { value: V; timestamp: number } | undefined {
    if (!this.#keys.has(id)) return undefined
    const waiting = this.#store.getWithTimestamp(key)
    if (waiting === undefined) throw new TypeError(`a row of ${this.#store.name} is gone`)
    return waiting
  }

  takeAway(key: K, id: string, timestamp: number): void {
    this.#forget(key, id, timestamp)
    this.#queue.remove(id)
  }

  /** Takes away the oldest row if its timestamp is below `limit`. */
  takeBefore(limit: number): WaitingRow<K, V> | undefined {
    const id = this.#queue.takeBefore(limit)
    if (id === undefined) return undefined
    const key = this.#keys.get(id) as K
    const row = this.waiting(key, id)
    if (row === undefined) throw new TypeError(`a row of ${this.#store.name} is not known`)
    this.#forget(key, id, row.timestamp)
    return { key, ...row }
  }

  #forget(key: K, id: string, timestamp: number): void {
    this.#store.delete(key, timestamp)
    this.#keys.delete(id)
  }
}
