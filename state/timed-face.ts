/** What the typed faces of stores with times are all made of. */
import type { OpenSerde } from '../serdes/serde.ts'
import type { StoreSerdes } from './key-value-store.ts'
import type { StepTime } from './store.ts'
import type { LayeredStore, ReadableStore } from './store-layers.ts'
import { keepStep, SLOT_BYTES, slotKey, StoreTimes, type TimeSlots } from './time-slots.ts'

/** What a store with times is opened with. */
export interface TimedStoreParts<K, V> extends StoreSerdes<K, V> {
  /** The oldest timestamp that is held upstream in the task, Infinity where none is: `ProcessorContext.heldTime`. Nothing is held where it is left out. */
  readonly heldTime?: () => number
}

/** The bytes of a store, its times and its serdes. A kind of store adds what its entries look like; one of readable bytes only reads. */
export class TimedReads<K, V, Bytes extends ReadableStore = ReadableStore> {
  readonly name: string
  protected readonly bytes: Bytes
  protected readonly slots: TimeSlots
  protected readonly times: StoreTimes
  protected readonly key: OpenSerde<K>
  protected readonly value: OpenSerde<V>

  constructor(bytes: Bytes, slots: TimeSlots, parts: TimedStoreParts<K, V>) {
    this.name = bytes.name
    this.bytes = bytes
    this.slots = slots
    this.times = new StoreTimes(bytes, slots, parts.heldTime)
    this.key = parts.key
    this.value = parts.value
  }

  get observedMs(): number {
    return this.times.observedMs
  }

  get stepTime(): StepTime {
    return this.times.step
  }

  /** slot ‖ key ‖ `tailBytes` for the kind to fill. `key` is as the serde writes it; its prefix stays out. */
  protected entryKey(key: Buffer, timeMs: number, tailBytes = 0): Buffer {
    const { length } = this.key.prefix
    const entry = slotKey(timeMs, this.slots, key.length - length + tailBytes)
    // A view costs more than a short copy.
    if (length === 0) entry.set(key, SLOT_BYTES)
    else key.copy(entry, SLOT_BYTES, length)
    return entry
  }
}

/** A face that writes too. */
export class TimedFace<K, V> extends TimedReads<K, V, LayeredStore> {
  keepStepTime(time: StepTime): void {
    keepStep(this.bytes, time)
  }
}
