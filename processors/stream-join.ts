/**
 * Two streams, each record with those of the other that have its key and are close enough in time.
 * As in Kafka Streams it is five steps, so that their names and stores are the same:
 *
 *   left  -> left window  -> left join  -> merge
 *   right -> right window -> right join -> merge
 *
 * A window step hands a record to its join first and keeps it then. So a stream that is joined with
 * itself does not meet its record twice, and of two records with one timestamp the second meets the
 * first. The join of one side reads what the other side's window has kept.
 */
import type { Serde } from '../serdes/serde.ts'
import type { JoinWindowStoreSpec, KeyValueStoreSpec } from '../state/store.ts'
import type { JoinWindows } from './join-windows.ts'
import { merge } from './merge.ts'
import type { ProcessorContext, ProcessorSpec } from './processor.ts'
import { StreamJoinProgress } from './stream-join-progress.ts'
import { StreamJoinSide } from './stream-join-side.ts'
import { UnjoinedRecords } from './unjoined-records.ts'
import type { TimeMark, UnjoinedKey, UnjoinedValues } from './unjoined-serde.ts'

/** What comes out. Records that meet nobody come out alone where their side has a function for it. */
export interface StreamJoinFunctions<K, L, R, Out> {
  readonly join: (left: L, right: R, key: K) => Out
  readonly leftAlone?: (left: L, key: K) => Out
  readonly rightAlone?: (right: R, key: K) => Out
}

/** A join as the topology declares it. */
export interface StreamJoin<K, L, R, Out> extends StreamJoinFunctions<K, L, R, Out> {
  readonly names: StreamJoinNames
  readonly key: Serde<K>
  readonly windows: JoinWindows
  readonly stores: StreamJoinStores<K, L, R>
}

/** The names of the five steps. */
export interface StreamJoinNames {
  readonly leftWindow: string
  readonly rightWindow: string
  readonly leftJoin: string
  readonly rightJoin: string
  readonly merge: string
}

/** Where records are kept. */
export interface StreamJoinStores<K, L, R> {
  readonly left: JoinWindowStoreSpec<K, L>
  readonly right: JoinWindowStoreSpec<K, R>
  /** What has met nobody yet; a join of which nothing comes out alone has no use for it. */
  readonly unjoined?: KeyValueStoreSpec<UnjoinedKey<K> | TimeMark, UnjoinedValues<L, R>>
}

/** The five steps. */
export interface StreamJoinSteps<K, L, R, Out> {
  readonly leftWindow: ProcessorSpec<K, L, K, L>
  readonly rightWindow: ProcessorSpec<K, R, K, R>
  readonly leftJoin: ProcessorSpec<K, L, K, Out>
  readonly rightJoin: ProcessorSpec<K, R, K, Out>
  readonly merge: ProcessorSpec<K, Out, K, Out>
}

/** The steps of a join. Records without value, and without key where their side does not come out alone, are dropped and counted in `dropped-records`. */
export function streamJoin<K, L, R, Out>(
  declaration: StreamJoin<K, L, R, Out>,
): StreamJoinSteps<K, L, R, Out> {
  const { names, stores } = declaration
  const sharedIn = sharedInTask(declaration)
  return {
    leftWindow: windowed(names.leftWindow, stores.left),
    rightWindow: windowed(names.rightWindow, stores.right),
    leftJoin: leftJoin(declaration, sharedIn),
    rightJoin: rightJoin(declaration, sharedIn),
    merge: merge(names.merge),
  }
}

/** Hands records on, and keeps them after that. */
function windowed<K, V>(name: string, kept: JoinWindowStoreSpec<K, V>): ProcessorSpec<K, V, K, V> {
  return {
    kind: 'joinWindow',
    name,
    stores: [kept],
    create: (context) => {
      const rows = context.joinWindowStore(kept)
      const { forward } = context
      return (record) => {
        forward(record)
        const { key, value, timestamp } = record
        // The join has counted those.
        if (key === null || key === undefined || value === null || value === undefined) return
        if (!rows.put(key, value, timestamp)) context.count('dropped-records')
      }
    },
  }
}

/** What the two join steps share in a task. */
interface Shared<K, L, R, Out> {
  readonly progress: StreamJoinProgress<K, Out>
  readonly unjoined: UnjoinedRecords<K, L, R, Out> | undefined
}

type SharedIn<K, L, R, Out> = (context: ProcessorContext<K, Out>) => Shared<K, L, R, Out>

/**
 * The two join steps are wired one by one and have nothing in common but the task's incarnation,
 * which its signal stands for: what they share dies with it.
 */
function sharedInTask<K, L, R, Out>(declaration: StreamJoin<K, L, R, Out>): SharedIn<K, L, R, Out> {
  const { stores, windows, leftAlone, rightAlone } = declaration
  const byIncarnation = new WeakMap<AbortSignal, Shared<K, L, R, Out>>()
  return (context) => {
    const known = byIncarnation.get(context.signal)
    if (known !== undefined) return known
    const unjoined =
      stores.unjoined &&
      new UnjoinedRecords<K, L, R, Out>(context.store(stores.unjoined), {
        key: context.serde<K>('key'),
        windows,
        leftAlone,
        rightAlone,
      })
    const shared = { progress: new StreamJoinProgress(unjoined), unjoined }
    byIncarnation.set(context.signal, shared)
    return shared
  }
}

function leftJoin<K, L, R, Out>(
  declaration: StreamJoin<K, L, R, Out>,
  sharedIn: SharedIn<K, L, R, Out>,
): ProcessorSpec<K, L, K, Out> {
  const { names, stores, windows, join, leftAlone } = declaration
  return {
    ...joinStep(declaration, names.leftJoin, stores.right),
    create: (context) => {
      const { progress, unjoined } = sharedIn(context)
      return new StreamJoinSide<K, L, R, Out>(context, {
        isLeft: true,
        backMs: windows.beforeMs,
        aheadMs: windows.afterMs,
        graceMs: windows.graceMs,
        others: context.joinWindowStore(stores.right),
        progress,
        join,
        alone: leftAlone,
        wait: ({ key, value, timestamp }) => unjoined?.addLeft(key, value, timestamp),
      })
    },
  }
}

function rightJoin<K, L, R, Out>(
  declaration: StreamJoin<K, L, R, Out>,
  sharedIn: SharedIn<K, L, R, Out>,
): ProcessorSpec<K, R, K, Out> {
  const { names, stores, windows, join, rightAlone } = declaration
  return {
    ...joinStep(declaration, names.rightJoin, stores.left),
    create: (context) => {
      const { progress, unjoined } = sharedIn(context)
      return new StreamJoinSide<K, R, L, Out>(context, {
        isLeft: false,
        backMs: windows.afterMs,
        aheadMs: windows.beforeMs,
        graceMs: windows.graceMs,
        others: context.joinWindowStore(stores.left),
        progress,
        join: (right, left, key) => join(left, right, key),
        alone: rightAlone,
        wait: ({ key, value, timestamp }) => unjoined?.addRight(key, value, timestamp),
      })
    },
  }
}

/** What both join steps declare. */
function joinStep<K, L, R, Out>(
  { key, stores: { unjoined } }: StreamJoin<K, L, R, Out>,
  name: string,
  others: JoinWindowStoreSpec<K, L> | JoinWindowStoreSpec<K, R>,
): Omit<ProcessorSpec<K, unknown, K, Out>, 'create'> {
  if (unjoined === undefined) return { kind: 'streamJoin', name, stores: [others] }
  const use = { serde: key, topic: unjoined.name, role: 'key' } as const
  return { kind: 'streamJoin', name, stores: [others, unjoined], serdes: { key: use } }
}
