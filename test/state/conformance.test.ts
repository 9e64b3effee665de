import { join } from 'node:path'
import { describe, test } from 'vitest'
import { databaseConformance, keyValueStoreConformance } from '../../state/conformance.ts'
import { keyValueStore } from '../../state/key-value-store.ts'
import { TaskState } from '../../state/layers.ts'
import { openLevelDatabase } from '../../state/level-database.ts'
import { memoryDatabase, memoryDisk } from '../../state/memory-database.ts'
import type { Database } from '../../state/store.ts'
import { handClock, temporaryFolder, textSerde } from './fixtures.ts'

const PREFIX = Buffer.of(0, 0, 0, 0, 7)

describe('the memory database', () => {
  const disks = new WeakMap<Database, ReturnType<typeof memoryDisk>>()
  const open = async (disk = memoryDisk()): Promise<Database> => {
    const database = memoryDatabase({ disk })
    disks.set(database, disk)
    return database
  }
  databaseConformance(
    {
      open: () => open(),
      reopen: async (database) => {
        await database[Symbol.asyncDispose]()
        return open(disks.get(database))
      },
    },
    test,
  )
})

const levels = [
  { title: 'LevelDB', options: {} },
  { title: 'LevelDB with every value in a file of its own', options: { blobBytes: 0 } },
  { title: 'LevelDB with the larger values in files', options: { blobBytes: 2 } },
]

for (const { title, options } of levels) {
  describe(title, () => {
    const folders = new WeakMap<Database, string>()
    const open = async (folder: string): Promise<Database> => {
      const { database } = await openLevelDatabase(folder, options)
      folders.set(database, folder)
      return database
    }
    databaseConformance(
      {
        open: async () => open(join(await temporaryFolder(), 'db')),
        reopen: async (database) => {
          await database[Symbol.asyncDispose]()
          return open(folders.get(database) ?? '')
        },
      },
      test,
    )
  })
}

const spaces = [
  {
    title: 'a key-value store in memory',
    open: async () => memoryDatabase(),
    persistent: false,
    prefix: PREFIX,
  },
  {
    title: 'a key-value store on LevelDB',
    open: async () => (await openLevelDatabase(join(await temporaryFolder(), 'db'))).database,
    persistent: true,
    prefix: PREFIX,
  },
  {
    title: 'a key-value store on LevelDB without a read cache and with plain keys',
    open: async () => (await openLevelDatabase(join(await temporaryFolder(), 'db'))).database,
    persistent: true,
    prefix: Buffer.alloc(0),
    limits: { cacheBytes: 0, sliceWrites: 2 },
  },
  {
    title: 'a key-value store on LevelDB with files and without a read cache',
    open: async () =>
      (await openLevelDatabase(join(await temporaryFolder(), 'db'), { blobBytes: 0 })).database,
    persistent: true,
    prefix: PREFIX,
    limits: { cacheBytes: 0, sliceWrites: 2 },
  },
]

for (const { title, open, persistent, prefix, limits } of spaces) {
  describe(title, () => {
    keyValueStoreConformance(
      {
        open: async () => {
          const database = await open()
          const stores = ['other', 'store', 'store2'].map((name) => ({
            name,
            persistent,
            logged: name === 'store',
          }))
          const parts = {
            stores,
            database,
            volatileDatabase: persistent ? memoryDatabase() : database,
          }
          const state = new TaskState({ ...parts, clock: handClock(), limits: limits ?? {} })
          // Neighbours, so that a store which looks beyond its own keys is found out.
          const serdes = { key: textSerde(prefix), value: textSerde() }
          for (const name of ['other', 'store2'])
            keyValueStore(state.store(name), serdes).put('b', 'foreign', 1)
          state.seal()
          state.commit(new Map())
          await state.flush()
          return {
            state,
            store: keyValueStore<string, string>(state.store('store'), serdes),
            [Symbol.asyncDispose]: async () => {
              await state[Symbol.asyncDispose]()
              await database[Symbol.asyncDispose]()
            },
          }
        },
      },
      test,
    )
  })
}
