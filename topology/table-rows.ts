/**
 * What later steps may ask of a table. A table that is read from a topic keeps no rows until a step
 * needs them, and a filtered or mapped one never does: it is read through the table it comes from. So
 * a step that comes later can make an earlier one do more; the earlier one is then declared anew.
 */
import type { ProcessorSpec } from '../processors/processor.ts'
import type { Change } from '../processors/change.ts'
import {
  storedRows,
  storedSessions,
  storedWindows,
  type RowLookup,
} from '../processors/row-lookup.ts'
import type { Windowed } from '../serdes/windowed.ts'
import type { KeyValueStoreSpec, SessionStoreSpec, WindowStoreSpec } from '../state/store.ts'
import type { Draft } from './draft.ts'

/** The rows of a table while a topology is being declared. */
export interface TableRows<K, V> {
  /** How a step looks rows up. A table of a topic begins to keep them. */
  lookup(): RowLookup<K, V>
  /** Has the table hand on what each update replaced; whether it does. One that keeps no rows begins to only where `keeps`. */
  oldValues(keeps: boolean): boolean
}

/** The rows of a step that always keeps them, and so knows what it replaces. */
export function keptRows<K, V>(store: KeyValueStoreSpec<K, V>): TableRows<K, V> {
  return { lookup: () => storedRows(store), oldValues: () => true }
}

/** The rows of a step that keeps them by key and window. */
export function keptWindows<K, V>(store: WindowStoreSpec<K, V>): TableRows<Windowed<K>, V> {
  return { lookup: () => storedWindows(store), oldValues: () => true }
}

/** The rows of a step that keeps them by key and session. */
export function keptSessions<K, V>(store: SessionStoreSpec<K, V>): TableRows<Windowed<K>, V> {
  return { lookup: () => storedSessions(store), oldValues: () => true }
}

/** The rows of a topic or a stream: in `store`, once `keep` was called. */
export function rowsOnDemand<K, V>(
  store: KeyValueStoreSpec<K, V>,
  isKept: boolean,
  keep: () => void,
): TableRows<K, V> {
  let kept = isKept
  const insist = (): void => {
    if (!kept) keep()
    kept = true
  }
  return {
    lookup: () => {
      insist()
      return storedRows(store)
    },
    oldValues: (keeps) => {
      if (keeps) insist()
      return kept
    },
  }
}

/** The rows of a table that is made of another: `specOf` declares its step, with or without what an update replaced. */
export function derivedRows<K, V, W>(
  rows: TableRows<K, V>,
  derived: {
    readonly draft: Draft
    readonly lookup: (rows: RowLookup<K, V>) => RowLookup<K, W>
    readonly specOf: (hasOld: boolean) => ProcessorSpec<K, Change<V>, K, Change<W>>
    readonly hasOld: boolean
  },
): TableRows<K, W> {
  let { hasOld } = derived
  return {
    lookup: () => derived.lookup(rows.lookup()),
    oldValues: (keeps) => {
      if (!hasOld && rows.oldValues(keeps)) {
        hasOld = true
        derived.draft.replaceProcessor(derived.specOf(true))
      }
      return hasOld
    },
  }
}
