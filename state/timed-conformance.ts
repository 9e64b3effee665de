/**
 * What the conformance suites of stores with times share: each case runs with its entries in every
 * place they can be, opened again and restored from the changelog included. The test function is
 * passed in, so that the suites depend on no test runner.
 */
import { asOffset, asPartition, asTopic } from '../model/position.ts'
import { LogRecord, NO_HEADERS } from '../model/record.ts'
import { changelogRecord, type ChangelogWrite } from './changelog.ts'
import type { RegisterTest } from './conformance.ts'
import type { TaskState } from './layers.ts'

/** The times that the suites count on: a store under test is declared with these. */
export const CONFORMANCE_TIMES = { retentionMs: 100, sizeMs: 10, windowMs: 20 }

/** A store of texts by texts, named `store`, with the state it lives in. */
export interface OpenedTimedStore<Store> extends AsyncDisposable {
  readonly state: TaskState
  readonly store: Store
  /** What the key serde writes before a key. */
  readonly keyPrefix: Buffer
}

/** How to make the store under test. */
export interface TimedStoreHarness<Store> {
  /** A new and empty, logged store. */
  open(): Promise<OpenedTimedStore<Store>>
  /** Closes what was opened, and opens what it wrote again. Undefined where nothing outlives a process. */
  readonly reopen:
    ((opened: OpenedTimedStore<Store>) => Promise<OpenedTimedStore<Store>>) | undefined
}

/** A store in a case, with its entries where they shall be. */
export interface Prepared<Store> {
  readonly store: Store
  readonly state: TaskState
  /** Commits and flushes everything. */
  readonly settle: () => Promise<void>
}

/** Registers a case once for every place its entries can be in. */
export type Case<Store> = (
  title: string,
  steps: {
    readonly fill: (store: Store) => void
    readonly check: (prepared: Prepared<Store>) => Promise<void>
  },
) => void

const PLACES = [
  'live',
  'sealed',
  'committed',
  'database',
  'reopened',
  'replayed',
  'restored',
] as const

/** Cases on stores of `harness`. */
export function everywhere<Store>(
  harness: TimedStoreHarness<Store>,
  test: RegisterTest,
): Case<Store> {
  return (title, { fill, check }) => {
    for (const place of PLACES) {
      if (place === 'reopened' && harness.reopen === undefined) continue
      test(`${title} (entries ${place})`, async () => {
        const filled = await harness.open()
        fill(filled.store)
        await using opened = await moved(filled, place, harness)
        const { store, state } = opened
        const settle = async (): Promise<void> => {
          if (place === 'sealed') state.commit(new Map())
          drain(state)
          state.commit(new Map())
          await state.flush()
        }
        await check({ store, state, settle })
      })
    }
  }
}

async function moved<Store>(
  filled: OpenedTimedStore<Store>,
  place: (typeof PLACES)[number],
  harness: TimedStoreHarness<Store>,
): Promise<OpenedTimedStore<Store>> {
  const { state } = filled
  if (place === 'live') return filled
  const writes = [...state.seal()]
  if (place === 'sealed') return filled
  if (place === 'restored' || place === 'replayed') {
    const restored = await harness.open()
    // Twice, for a crash may have left in the database what the log gives once more.
    await restoreInto(restored, { writes, place })
    await restoreInto(restored, { writes, place })
    await filled[Symbol.asyncDispose]()
    return restored
  }
  state.commit(new Map())
  if (place === 'committed') return filled
  await state.flush()
  return place === 'reopened' && harness.reopen !== undefined ? harness.reopen(filled) : filled
}

/** Gives the state's store the records that `writes` become, in its database or in its layers. */
async function restoreInto<Store>(
  { state, keyPrefix }: OpenedTimedStore<Store>,
  {
    writes,
    place,
  }: { readonly writes: readonly ChangelogWrite[]; readonly place: 'restored' | 'replayed' },
): Promise<void> {
  const at = { topic: asTopic('app-store-changelog'), partition: asPartition(0) }
  const records = writes.map((write, offset) => {
    const { key, value, timestamp } = changelogRecord(write, at, keyPrefix)
    const [keyBytes, valueBytes] = [key ?? Buffer.alloc(0), value ?? Buffer.alloc(0)]
    const valueEnd = value === null ? -1 : valueBytes.length
    return new LogRecord(
      offset,
      timestamp,
      keyBytes,
      0,
      keyBytes.length,
      valueBytes,
      0,
      valueEnd,
      NO_HEADERS,
    )
  })
  const from = { ...at, keyPrefixLength: keyPrefix.length }
  const checkpoint = { offset: asOffset(writes.length), topicId: 'topic' }
  const restored = state.restoredWrites('store', records, from)
  if (place === 'replayed') state.replay('store', restored, checkpoint)
  else await state.applyRestored('store', restored, checkpoint)
  state.markRestored('store', checkpoint)
}

/** What a commit would log: key without the prefix in hex, value, timestamp. */
export function logged(state: TaskState): (readonly [string, string | null, number])[] {
  return [...state.seal()].map(({ key, value, timestamp }) => [
    key.toString('hex'),
    value === null ? null : value.toString(),
    timestamp,
  ])
}

function drain(state: TaskState): void {
  for (const _ of state.seal());
}

/** Entries as texts: `[key@start/end]=value`. */
export async function list(
  entries: AsyncIterable<
    readonly [
      { readonly key: string; readonly startMs: number; readonly endMs: number },
      { readonly value: string },
    ]
  >,
): Promise<string[]> {
  const found: string[] = []
  for await (const [{ key, startMs, endMs }, { value }] of entries)
    found.push(`[${key}@${startMs}/${endMs}]=${value}`)
  return found
}

/** Bytes of a key followed by int64 or int32 numbers, in hex. */
export function keyHex(key: string, longs: readonly number[], int?: number): string {
  const numbers = longs.map((n) => n.toString(16).padStart(16, '0')).join('')
  return (
    Buffer.from(key).toString('hex') +
    numbers +
    (int === undefined ? '' : int.toString(16).padStart(8, '0'))
  )
}

/** The values of rows. */
export function values(rows: readonly { readonly value: string }[]): string[] {
  return rows.map(({ value }) => value)
}
