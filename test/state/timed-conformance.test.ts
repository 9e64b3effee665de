import { join } from 'node:path'
import { describe, test } from 'vitest'
import { joinWindowStoreConformance } from '../../state/join-window-conformance.ts'
import { joinWindowStore } from '../../state/join-window-store.ts'
import { TaskState } from '../../state/layers.ts'
import { openLevelDatabase } from '../../state/level-database.ts'
import { memoryDatabase } from '../../state/memory-database.ts'
import { sessionStoreConformance } from '../../state/session-conformance.ts'
import { sessionStore } from '../../state/session-store.ts'
import type { Database } from '../../state/store.ts'
import type { LayeredStore } from '../../state/store-layers.ts'
import type { StoreSerdes } from '../../state/key-value-store.ts'
import {
  CONFORMANCE_TIMES,
  type OpenedTimedStore,
  type TimedStoreHarness,
} from '../../state/timed-conformance.ts'
import { windowStoreConformance } from '../../state/window-conformance.ts'
import { windowStore } from '../../state/window-store.ts'
import { handClock, temporaryFolder, textSerde } from './fixtures.ts'

type Make<Store> = (bytes: LayeredStore, serdes: StoreSerdes<string, string>) => Store

const spaces = [
  { title: 'in memory', keyPrefix: Buffer.of(0, 0, 0, 0, 7), limits: {}, level: {} },
  { title: 'on LevelDB', keyPrefix: Buffer.of(0, 0, 0, 0, 7), limits: {}, level: {} },
  {
    title: 'on LevelDB without a read cache and with plain keys',
    keyPrefix: Buffer.alloc(0),
    limits: { cacheBytes: 0, sliceWrites: 2 },
    level: {},
  },
  {
    title: 'on LevelDB with files and without a read cache',
    keyPrefix: Buffer.of(0, 0, 0, 0, 7),
    limits: { cacheBytes: 0, sliceWrites: 2 },
    level: { blobBytes: 0 },
  },
]

function harness<Store>(
  space: (typeof spaces)[number],
  kind: 'window' | 'join-window' | 'session',
  make: Make<Store>,
): TimedStoreHarness<Store> {
  const { keyPrefix, limits, level } = space
  const persistent = space.title !== 'in memory'
  const folders = new WeakMap<object, string>()
  const openOn = (database: Database): OpenedTimedStore<Store> => {
    // Neighbours, so that a store which looks or removes beyond its own keys is found out.
    const stores = ['other', 'store', 'store2'].map((name) => ({
      name,
      kind,
      persistent,
      logged: name === 'store',
      ...CONFORMANCE_TIMES,
    }))
    const parts = { stores, database, volatileDatabase: persistent ? memoryDatabase() : database }
    const state = new TaskState({ ...parts, clock: handClock(), limits })
    return {
      state,
      store: make(state.store('store'), { key: textSerde(keyPrefix), value: textSerde() }),
      keyPrefix,
      [Symbol.asyncDispose]: async () => {
        await state[Symbol.asyncDispose]()
        await database[Symbol.asyncDispose]()
      },
    }
  }
  const openIn = async (folder: string): Promise<OpenedTimedStore<Store>> => {
    const opened = openOn((await openLevelDatabase(folder, level)).database)
    folders.set(opened.state, folder)
    return opened
  }
  return {
    open: async () =>
      persistent ? openIn(join(await temporaryFolder(), 'db')) : openOn(memoryDatabase()),
    reopen: persistent
      ? async (opened) => {
          await opened[Symbol.asyncDispose]()
          return openIn(folders.get(opened.state) ?? '')
        }
      : undefined,
  }
}

for (const space of spaces) {
  describe(`a window store ${space.title}`, () => {
    const make = (bytes: LayeredStore, serdes: StoreSerdes<string, string>) =>
      windowStore(bytes, CONFORMANCE_TIMES, serdes)
    windowStoreConformance(harness(space, 'window', make), test)
  })
  describe(`a store of a windowed join ${space.title}`, () => {
    const make = (bytes: LayeredStore, serdes: StoreSerdes<string, string>) =>
      joinWindowStore(bytes, CONFORMANCE_TIMES, serdes)
    joinWindowStoreConformance(harness(space, 'join-window', make), test)
  })
  describe(`a session store ${space.title}`, () => {
    const make = (bytes: LayeredStore, serdes: StoreSerdes<string, string>) =>
      sessionStore(bytes, CONFORMANCE_TIMES, serdes)
    sessionStoreConformance(harness(space, 'session', make), test)
  })
}
