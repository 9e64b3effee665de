/**
 * Commits for ever, each commit first to standard output, which stands for the log, then to the state. Commit n
 * is a function of n alone (kill-commit.ts), so that the parent can tell what must be there.
 */
import { writeSync } from 'node:fs'
import { asOffset } from '../../model/position.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { TaskState } from '../../state/layers.ts'
import { openLevelDatabase } from '../../state/level-database.ts'
import { memoryDatabase } from '../../state/memory-database.ts'
import { commitWrites, replay, STORES, TOPIC_ID } from './kill-commit.ts'

/** Not `process.stdout.fd`: to ask for it makes the pipe non-blocking, and a full one is then an error. */
const STDOUT = 1

const [folder = '', committedText = '0', blobBytes = 'Infinity'] = process.argv.slice(2)
const clock = systemClock()
const { database } = await openLevelDatabase(folder, { blobBytes: Number(blobBytes) })
const limits = { flushIntervalMs: 20, flushBytes: 50_000, sliceWrites: 20, cacheBytes: 50_000 }
const state = new TaskState({
  stores: STORES,
  database,
  volatileDatabase: memoryDatabase(),
  clock,
  limits,
})
let committed = Number(committedText)
await replay(state, committed)
for (;;) {
  const n = committed + 1
  for (const { store, key, value } of commitWrites(n)) {
    if (value === null) state.store(store).delete(key, n)
    else state.store(store).put(key, value)
  }
  for (const _ of state.seal());
  writeSync(STDOUT, `${n}\n`)
  const checkpoint = { offset: asOffset(n), topicId: TOPIC_ID }
  state.commit(new Map(STORES.map(({ name }) => [name, checkpoint])))
  committed = n
  state.flushIfDue()
  if (state.isCongested) await state.flush()
  if (n % 10 === 0) await clock.yield()
}
