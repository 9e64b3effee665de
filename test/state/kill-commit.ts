/** What commit n of the kill test writes. */
import { asOffset } from '../../model/position.ts'
import { storePrefix } from '../../state/keys.ts'
import type { TaskState } from '../../state/layers.ts'
import type { DatabaseWrite } from '../../state/store.ts'
import { withTimestamp } from '../../state/timestamped.ts'
import { seeded } from './fixtures-random.ts'

export const TOPIC_ID = 'c3f5b0f2-0000-4000-8000-000000000001'
export const STORES = ['one', 'two'].map((name) => ({ name, persistent: true, logged: true }))
export const KEYS = 200

export interface Written extends DatabaseWrite {
  readonly store: string
}

/** The value says which commit wrote it. */
export function commitWrites(n: number): readonly Written[] {
  const random = seeded(n)
  return Array.from({ length: 1 + random(20) }, () => {
    const key = Buffer.from(`key${random(KEYS)}`)
    const value =
      random(4) === 0 ? null : withTimestamp(n, Buffer.from(`${n}/${'x'.repeat(random(200))}`))
    return { store: STORES[random(2)]?.name ?? '', key, value }
  })
}

/** Brings both stores to commit `to`, as a restore does: after an even one in the layers, or else in the database. */
export async function replay(state: TaskState, to: number): Promise<void> {
  for (const { name } of STORES) {
    const from = state.checkpoint(name)?.offset ?? 0
    const writes: DatabaseWrite[] = []
    for (let n = from + 1; n <= to; n++) {
      for (const { store, key, value } of commitWrites(n)) {
        if (store === name) writes.push({ key: Buffer.concat([storePrefix(name), key]), value })
      }
    }
    const checkpoint = { offset: asOffset(to), topicId: TOPIC_ID }
    if (to % 2 === 0) state.replay(name, writes, checkpoint)
    else await state.applyRestored(name, writes, checkpoint)
    state.markRestored(name, checkpoint)
  }
}
