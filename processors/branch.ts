/** A step that sends each record one of several ways. */
import type { StreamRecord } from '../model/record.ts'
import type { ProcessorSpec } from './processor.ts'

/** One way out of a branching step. */
export interface Branch<K, V> {
  /** The child that gets the records. */
  readonly child: string
  /** Whether a record goes this way; left out: every one that came so far does. */
  takes?(record: StreamRecord<K, V>): boolean
}

/** The beginning of a branch: forwards what it gets. */
export function branchStart<K, V>(name: string): ProcessorSpec<K, V, K, V> {
  return { kind: 'branchStart', name, create: ({ forward }) => forward }
}

/** Forwards each record to the child of the first branch that takes it, and to none where none does. */
export function branch<K, V>(
  name: string,
  branches: readonly Branch<K, V>[],
): ProcessorSpec<K, V, K, V> {
  return {
    kind: 'branch',
    name,
    create: ({ forwardTo }) => {
      const ways = branches.map((each) => ({ branch: each, forward: forwardTo(each.child) }))
      return (record) => {
        for (const { branch: way, forward } of ways) {
          if (way.takes?.(record) === false) continue
          forward(record)
          return
        }
      }
    },
  }
}
