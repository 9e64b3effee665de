/** Where several streams become one. The order between them is that in which the task takes their records. */
import type { ProcessorSpec } from './processor.ts'

/** Forwards what each parent sends. */
export function merge<K, V>(name: string): ProcessorSpec<K, V, K, V> {
  return { kind: 'merge', name, create: ({ forward }) => forward }
}
