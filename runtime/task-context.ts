/** What one processor may use of its task: made at every wiring, so that it dies with its incarnation. */
import { asError } from '../model/errors.ts'
import type { ProcessorContext, PunctuationType, Scheduled } from '../processors/processor.ts'
import { joinWindowStore } from '../state/join-window-store.ts'
import { keyValueStore } from '../state/key-value-store.ts'
import { sessionStore } from '../state/session-store.ts'
import type { KeyValueStoreSpec, TimedStoreSpec } from '../state/store.ts'
import type { LayeredStore } from '../state/store-layers.ts'
import type { TimedStoreParts } from '../state/timed-face.ts'
import { windowStore } from '../state/window-store.ts'
import type { OpenSerde } from '../serdes/serde.ts'
import type { ProcessorNode } from '../topology/graph.ts'
import { deadLetterRecord } from './dead-letter.ts'
import { eventError } from './failure.ts'
import type { RecordFailures } from './record-failures.ts'
import type { UnitServices } from './services.ts'
import type { Task } from './task.ts'
import type { Ways } from './wiring.ts'

/** The context of one processor in one incarnation of its task. */
export function taskContext(parts: {
  readonly node: ProcessorNode
  readonly ways: Ways
  readonly task: Task
  readonly signal: AbortSignal
  readonly services: UnitServices
  readonly failures: RecordFailures
}): ProcessorContext<unknown, unknown> {
  const { node, ways, task, signal, services } = parts
  const { open, outputs, deadLetters, counters } = services
  const counter = new Map<string, (amount?: number) => void>()
  return {
    ...ways,
    applicationId: open.application,
    taskId: task.id,
    partition: task.partition,
    name: node.name,
    clock: services.clock,
    signal,
    source: node.spec.leasesSource === true ? () => task.leasedSource() : () => task.source(),
    streamTime: () => task.streamTime,
    caughtUp: () => task.caughtUp,
    ...stores(parts),
    serde: <T>(name: string) => serdeOf<T>(parts, name),
    origin: () => task.origin(),
    enqueue: (event, origin) => {
      if (signal.aborted) return
      task.enqueue(() => {
        try {
          event()
        } catch (error) {
          throw eventError(error, node.name)
        }
      }, origin)
    },
    schedule: (intervalMs, type, run) => schedule(parts, { intervalMs, type, run }),
    holdTime: (oldestPendingMs) => task.holds.set(node.name, oldestPendingMs),
    heldTime: () => task.holds.oldest,
    deadLetter: (letter) => outputs.emit(deadLetterRecord(letter, deadLetters)),
    payloads: services.payloads,
    shared: services.shared,
    notice: (message) => services.onEvent({ kind: 'notice', message }),
    count: (name, amount) => {
      let add = counter.get(name)
      if (add === undefined) {
        add = counters.counter({ task: task.id, processor: node.name, name })
        counter.set(name, add)
      }
      add(amount)
    },
  }
}

function schedule(
  { task, services, node, failures }: Parameters<typeof taskContext>[0],
  wish: {
    readonly intervalMs: number
    readonly type: PunctuationType
    readonly run: (timestampMs: number) => void
  },
): Scheduled {
  const { intervalMs, type, run } = wish
  if (!(intervalMs >= 1)) {
    throw new TypeError(`${node.name} schedules every ${intervalMs} ms: at least 1 is needed`)
  }
  const firstMs = type === 'stream-time' ? 0 : services.clock.now() + intervalMs
  return task.punctuations.add(type, { intervalMs, firstMs }, (timestampMs) => {
    try {
      run(timestampMs)
    } catch (error) {
      failures.onPunctuation(asError(error), node.name)
    }
  })
}

/** The faces of the task's stores. */
function stores(parts: StoreOwner): Stores {
  return {
    store: (spec) => {
      const [bytes, opened] = openStore(parts, spec)
      return keyValueStore(bytes, opened)
    },
    windowStore: (spec) => {
      const [bytes, opened] = openStore(parts, spec)
      return windowStore(bytes, spec, opened)
    },
    joinWindowStore: (spec) => {
      const [bytes, opened] = openStore(parts, spec)
      return joinWindowStore(bytes, spec, opened)
    },
    sessionStore: (spec) => {
      const [bytes, opened] = openStore(parts, spec)
      return sessionStore(bytes, spec, opened)
    },
  }
}

type Stores = Pick<
  ProcessorContext<unknown, unknown>,
  'store' | 'windowStore' | 'joinWindowStore' | 'sessionStore'
>

interface StoreOwner {
  readonly task: Task
  readonly services: UnitServices
  readonly node: ProcessorNode
}

/** The bytes of a store in this task, and what its face is made of. */
function openStore<K, V>(
  { task, services, node }: StoreOwner,
  { name }: KeyValueStoreSpec<K, V> | TimedStoreSpec<K, V>,
): readonly [LayeredStore, TimedStoreParts<K, V>] {
  const opened = services.open.stores.get(name)
  if (opened === undefined) {
    throw new TypeError(`${node.name} uses the store ${name}, which it did not declare`)
  }
  // The store was opened from this very spec, whose types the caller has.
  const key = opened.key as OpenSerde<K>
  const value = opened.value as OpenSerde<V>
  return [task.state.store(name), { key, value, heldTime: () => task.holds.oldest }]
}

function serdeOf<T>(
  { services, node }: { services: UnitServices; node: ProcessorNode },
  name: string,
): OpenSerde<T> {
  const serde = services.open.serdes.get(node.name)?.get(name)
  if (serde === undefined) throw new TypeError(`${node.name} declared no serde ${name}`)
  return serde as OpenSerde<T>
}
