/**
 * A step written by the author that leaves keys alone: what follows may go by key without a
 * repartition topic. Kafka Streams keeps the key from being changed by its types; here a record that
 * is forwarded with another key than the one being processed fails the step.
 */
import type { StreamRecord } from '../model/record.ts'
import type { StoreSpec } from '../state/store.ts'
import type { ProcessorContext, ProcessorSpec, Processor, ProcessRecord } from './processor.ts'

/** The author's half of a `processValues` step. */
export interface ProcessValuesDeclaration<K, V, W> {
  /** The stores that `create` may ask its context for. */
  readonly stores?: readonly StoreSpec[]
  /** It may call `deadLetter`: an app without a dead-letter topic is then refused before it starts. */
  readonly deadLetters?: true
  /** Makes the logic: once per task, and again after every abort. Derive what is forwarded with `record.withValue`. */
  create(context: ProcessorContext<K, W>): ProcessRecord<K, V> | Processor<K, V>
}

/** The author's logic as a step of the topology. */
export function processValues<K, V, W>(
  name: string,
  declaration: ProcessValuesDeclaration<K, V, W>,
): ProcessorSpec<K, V, K, W> {
  return {
    kind: 'processValues',
    name,
    stores: declaration.stores ?? [],
    ...(declaration.deadLetters === true ? { deadLetters: true } : {}),
    create: (context) => {
      let current: StreamRecord<K, V> | undefined
      const kept = (forward: ProcessRecord<K, W>): ProcessRecord<K, W> => {
        return (record) => {
          // In a punctuation no record is being processed, and any key of this partition will do.
          if (current !== undefined && record.key !== current.key) throw otherKey(name)
          forward(record)
        }
      }
      const logic = declaration.create({
        ...context,
        forward: kept(context.forward),
        forwardTo: (child) => kept(context.forwardTo(child)),
      })
      const processor = typeof logic === 'function' ? { process: logic } : logic
      const process: ProcessRecord<K, V> = (record) => {
        current = record
        try {
          processor.process(record)
        } finally {
          current = undefined
        }
      }
      return {
        process,
        open: async () => await processor.open?.(),
        beforeCommit: () => processor.beforeCommit?.(),
        close: async () => await processor.close?.(),
      }
    },
  }
}

function otherKey(name: string): TypeError {
  return new TypeError(
    `${name} forwards a record with another key than the one it processes. Derive it with record.withValue, or use process for a step that changes keys`,
  )
}
