/**
 * A step written by the author: any logic over stores that it names. The same store object named by
 * two steps is one store, and puts both steps into one sub-topology.
 */
import type { StoreSpec } from '../state/store.ts'
import type { ProcessorContext, ProcessorSpec, Processor, ProcessRecord } from './processor.ts'

/** The author's half of a `process` step. */
export interface ProcessDeclaration<K, V, L, W> {
  /** The stores that `create` may ask its context for. */
  readonly stores?: readonly StoreSpec[]
  /** It may call `deadLetter`: an app without a dead-letter topic is then refused before it starts. */
  readonly deadLetters?: true
  /** Makes the logic: once per task, and again after every abort, so that fields never outlive their transaction. */
  create(context: ProcessorContext<L, W>): ProcessRecord<K, V> | Processor<K, V>
}

/** The author's logic as a step of the topology. */
export function process<K, V, L, W>(
  name: string,
  declaration: ProcessDeclaration<K, V, L, W>,
): ProcessorSpec<K, V, L, W> {
  return {
    kind: 'process',
    name,
    stores: declaration.stores ?? [],
    ...(declaration.deadLetters === true ? { deadLetters: true } : {}),
    create: (context) => declaration.create(context),
  }
}
