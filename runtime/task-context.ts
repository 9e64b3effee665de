/** What one processor may use of its task: made at every wiring, so that it dies with its incarnation. */
import { asError } from '../model/errors.ts'
import type { ProcessorContext, PunctuationType, Scheduled } from '../processors/processor.ts'
import { keyValueStore } from '../state/key-value-store.ts'
import type { KeyValueStore, KeyValueStoreSpec } from '../state/store.ts'
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
    source: () => task.source(),
    streamTime: () => task.streamTime,
    caughtUp: () => task.caughtUp,
    store: <K, V>(spec: KeyValueStoreSpec<K, V>) => storeOf(parts, spec),
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

function storeOf<K, V>(
  { task, services, node }: { task: Task; services: UnitServices; node: ProcessorNode },
  spec: KeyValueStoreSpec<K, V>,
): KeyValueStore<K, V> {
  const opened = services.open.stores.get(spec.name)
  if (opened === undefined) {
    throw new TypeError(`${node.name} uses the store ${spec.name}, which it did not declare`)
  }
  return keyValueStore(task.state.store(spec.name), {
    // The store was opened from this very spec, whose types the caller has.
    key: opened.key as OpenSerde<K>,
    value: opened.value as OpenSerde<V>,
  })
}

function serdeOf<T>(
  { services, node }: { services: UnitServices; node: ProcessorNode },
  name: string,
): OpenSerde<T> {
  const serde = services.open.serdes.get(node.name)?.get(name)
  if (serde === undefined) throw new TypeError(`${node.name} declared no serde ${name}`)
  return serde as OpenSerde<T>
}
