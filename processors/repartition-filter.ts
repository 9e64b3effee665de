/** What stands before a repartition topic. Records of no key belong nowhere, so that no step by key could use them: they stay out of the topic. */
import type { ProcessorSpec } from './processor.ts'

/** Forwards the records that have a key, and the others too where `keepsNullKeys`: a left join behind the topic emits them. */
export function repartitionFilter<K, V>(
  name: string,
  { keepsNullKeys }: { readonly keepsNullKeys: boolean },
): ProcessorSpec<K, V, K, V> {
  return {
    kind: 'repartitionFilter',
    name,
    create: ({ forward, count }) => {
      if (keepsNullKeys) return forward
      return (record) => {
        if (record.key === null || record.key === undefined) count('dropped-records')
        else forward(record)
      }
    },
  }
}
