/**
 * Rows on their way to the group they belong to. Source of the rules: Kafka Streams'
 * KTableRepartitionMap. An update whose group stays is one change, so that a group is never seen
 * without the row; one that moves to another group is two, the old group's first.
 */
import type { Serde } from '../serdes/serde.ts'
import type { Change } from './change.ts'
import type { ProcessorSpec } from './processor.ts'

/** How rows are grouped. */
export interface TableSelection<K, V, L, W> {
  readonly name: string
  readonly select: (value: V, key: K) => readonly [L, W]
  /** Of the selected keys: two that it writes alike are one group. */
  readonly key: Serde<L>
}

/** Forwards each change by the key and with the values that `select` answers for its rows. A null key or value leaves that side out. */
export function tableSelect<K, V, L, W>(
  selection: TableSelection<K, V, L, W>,
): ProcessorSpec<K, Change<V>, L, Change<W>> {
  const { name, select } = selection
  return {
    kind: 'select',
    name,
    serdes: { key: { serde: selection.key, topic: name, role: 'key' } },
    create: (context) => {
      const { forward } = context
      const keys = context.serde<L>('key')
      const isSame = (a: L, b: L): boolean => a === b || keys.serialize(a).equals(keys.serialize(b))
      const selected = (row: V | null, key: K): readonly [L, W] | undefined => {
        if (row === null) return undefined
        const pair = select(row, key)
        return isAbsent(pair[0]) || isAbsent(pair[1]) ? undefined : pair
      }
      return (record) => {
        const fresh = selected(record.value.newValue, record.key)
        const stale = selected(record.value.oldValue, record.key)
        if (fresh !== undefined && stale !== undefined && isSame(fresh[0], stale[0])) {
          const change = { newValue: fresh[1], oldValue: stale[1] }
          forward(record.withKey(fresh[0]).withValue(change))
          return
        }
        if (stale !== undefined) {
          forward(record.withKey(stale[0]).withValue({ newValue: null, oldValue: stale[1] }))
        }
        if (fresh !== undefined) {
          forward(record.withKey(fresh[0]).withValue({ newValue: fresh[1], oldValue: null }))
        }
      }
    },
  }
}

function isAbsent(part: unknown): boolean {
  return part === null || part === undefined
}
