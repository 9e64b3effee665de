/** What the typed faces of stores with times are all made of. */
import type { OpenSerde } from '../serdes/serde.ts'
import type { StoreSerdes } from './key-value-store.ts'
import type { StepTime } from './store.ts'
import type { LayeredStore } from './store-layers.ts'
import { SLOT_BYTES, slotKey, StoreTimes, type TimeSlots } from './time-slots.ts'

/** What a store with times is opened with. */
export interface TimedStoreParts<K, V> extends StoreSerdes<K, V> {
  /** The oldest timestamp that is held upstream in the task, Infinity where none is: `ProcessorContext.heldTime`. Nothing is held where it is left out. */
  readonly heldTime?: () => number
}

/** The bytes of a store, its times and its serdes. A kind of store adds what its entries look like. */
export class TimedFace<K, V> {
  readonly name: string
  protected readonly bytes: LayeredStore
  protected readonly slots: TimeSlots
  protected readonly times: StoreTimes
  protected readonly key: OpenSerde<K>
  protected readonly value: OpenSerde<V>

  constructor(bytes: LayeredStore, slots: TimeSlots, parts: TimedStoreParts<K, V>) {
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

  keepStepTime(time: StepTime): void {
    this.times.keepStep(time)
  }

  /** slot ‖ key ‖ `tailBytes` for the kind to fill. `key` is as the serde writes it; its prefix stays out. */
  protected entryKey(key: Buffer, timeMs: number, tailBytes = 0): Buffer {
    const { length } = this.key.prefix
    const entry = slotKey(timeMs, this.slots, key.length - length + tailBytes)
    key.copy(entry, SLOT_BYTES, length)
    return entry
  }
}
