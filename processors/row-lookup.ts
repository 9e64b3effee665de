/** How a step reads a table's rows by key. A table that keeps none of its own is read through the one it comes from. */
import type { Windowed } from '../serdes/windowed.ts'
import type {
  KeyValueStoreSpec,
  SessionStoreSpec,
  StoreSpec,
  WindowStoreSpec,
} from '../state/store.ts'
import type { ProcessorContext } from './processor.ts'

/** The rows of a table, for a step that looks them up. */
export interface RowLookup<K, V> {
  /** The store that the rows are in: the step declares it. */
  readonly store: StoreSpec
  /** The row of a key in one task; undefined where there is none. */
  open(context: StoresOfTask): (key: K) => V | undefined
}

type StoresOfTask = Pick<
  ProcessorContext<unknown, unknown>,
  'store' | 'windowStore' | 'sessionStore'
>

/** The rows of a store as they are. */
export function storedRows<K, V>(store: KeyValueStoreSpec<K, V>): RowLookup<K, V> {
  return {
    store,
    open: (context) => {
      const rows = context.store(store)
      return (key) => rows.get(key)
    },
  }
}

/** The rows of a store of windows, by the key in its window. */
export function storedWindows<K, V>(store: WindowStoreSpec<K, V>): RowLookup<Windowed<K>, V> {
  return {
    store,
    open: (context) => {
      const windows = context.windowStore(store)
      return ({ key, startMs }) => windows.fetch(key, startMs)?.value
    },
  }
}

/** The rows of a store of sessions, by the key in its session. */
export function storedSessions<K, V>(store: SessionStoreSpec<K, V>): RowLookup<Windowed<K>, V> {
  return {
    store,
    open: (context) => {
      const sessions = context.sessionStore(store)
      return ({ key, startMs, endMs }) => sessions.fetch(key, startMs, endMs)?.value
    },
  }
}

/** The rows of a filtered table. */
export function filteredRows<K, V>(
  rows: RowLookup<K, V>,
  keep: (value: V, key: K) => boolean,
): RowLookup<K, V> {
  return {
    store: rows.store,
    open: (context) => {
      const rowOf = rows.open(context)
      return (key) => {
        const row = rowOf(key)
        return row !== undefined && keep(row, key) ? row : undefined
      }
    },
  }
}

/** The rows of a mapped table; the mapper runs at every look. */
export function mappedRows<K, V, W>(
  rows: RowLookup<K, V>,
  mapper: (value: V, key: K) => W,
): RowLookup<K, W> {
  return {
    store: rows.store,
    open: (context) => {
      const rowOf = rows.open(context)
      return (key) => {
        const row = rowOf(key)
        return row === undefined ? undefined : mapper(row, key)
      }
    },
  }
}
