import { describe, expect, test } from 'vitest'
import { asOffset } from '../../model/position.ts'
import { changelogConfig, changelogRecord, changelogTopic } from '../../state/changelog.ts'
import { keyValueStore } from '../../state/key-value-store.ts'
import { TaskState } from '../../state/layers.ts'
import { memoryDatabase, memoryDisk, type MemoryDisk } from '../../state/memory-database.ts'
import {
  describeFullRestore,
  restoreStores,
  type RestoreProgress,
  type RestoreSource,
} from '../../state/restore.ts'
import type { KeyValueStore } from '../../state/store.ts'
import { handClock, textSerde } from './fixtures.ts'
import { TestLog } from './log-reader.ts'

const PREFIX = Buffer.of(0, 0, 0, 0, 7)
const SERDES = { key: textSerde(PREFIX), value: textSerde(PREFIX) }
const clock = handClock()

interface Opened {
  readonly state: TaskState
  readonly store: KeyValueStore<string, string>
}

function open(disk: MemoryDisk, replayBytes = Infinity): Opened {
  const stores = [{ name: 's', persistent: true, logged: true }]
  const databases = { database: memoryDatabase({ disk }), volatileDatabase: memoryDatabase() }
  const state = new TaskState({
    stores,
    ...databases,
    clock,
    limits: { sliceWrites: 2, replayBytes },
  })
  return { state, store: keyValueStore(state.store('s'), SERDES) }
}

/** A machine that writes a changelog, and others that restore from it. */
class World {
  readonly log = new TestLog()
  disk = memoryDisk()
  progress: RestoreProgress[] = []

  /** Runs a task that makes `changes` in one commit, and leaves its database behind. */
  async work(changes: (store: KeyValueStore<string, string>) => void): Promise<void> {
    const { state, store } = open(this.disk)
    await this.restore(state)
    changes(store)
    for (const write of state.seal())
      this.log.slots.push(changelogRecord(write, this.log.at, PREFIX))
    const checkpoint = { offset: asOffset(this.log.slots.length), topicId: 'id', leaderEpoch: 4 }
    this.log.slots.push('marker')
    state.commit(new Map([['s', checkpoint]]))
    await state.flush()
  }

  source(state: TaskState, changes: Partial<RestoreSource> = {}): RestoreSource {
    return {
      ...this.log.at,
      state,
      store: 's',
      topicId: 'id',
      end: asOffset(this.log.slots.length),
      earliest: () => Promise.resolve(asOffset(this.log.earliest)),
      keyPrefixLength: PREFIX.length,
      ...changes,
    }
  }

  /** Runs a restore that may leave in the layers what is short. */
  async replay(state: TaskState, changes: Partial<RestoreSource> = {}) {
    return await this.restore(state, changes, { inLayers: true })
  }

  async restore(
    state: TaskState,
    changes: Partial<RestoreSource> = {},
    options: { readonly signal?: AbortSignal; readonly inLayers?: boolean } = {},
  ) {
    const onProgress = (progress: RestoreProgress): void => void this.progress.push(progress)
    const common = { reader: this.log, clock, onProgress, ...options }
    const [report] = await restoreStores([this.source(state, changes)], common)
    return report
  }
}

async function contents(
  store: KeyValueStore<string, string>,
): Promise<Record<string, [string, number]>> {
  const found: Record<string, [string, number]> = {}
  for await (const [key, { value, timestamp }] of store.range()) found[key] = [value, timestamp]
  return found
}

async function worldWithHistory(): Promise<World> {
  const world = new World()
  await world.work((store) => {
    for (const key of 'abcdefgh') store.put(key, `1${key}`, 100)
  })
  await world.work((store) => {
    store.put('a', '2a', 200)
    store.delete('b', 200)
  })
  world.progress = []
  world.log.released = 0
  return world
}

const AFTER = {
  a: ['2a', 200],
  ...Object.fromEntries('cdefgh'.split('').map((key) => [key, [`1${key}`, 100]])),
}

describe('a restore', () => {
  test('into an empty database gives values and timestamps, and says that it was full', async () => {
    const world = await worldWithHistory()
    const { state, store } = open(memoryDisk())
    const report = await world.restore(state)
    expect(await contents(store)).toEqual(AFTER)
    expect(report).toMatchObject({ fullBecause: 'no-checkpoint', from: 0, end: 12, records: 10 })
    expect(state.checkpoint('s')).toMatchObject({ offset: 12, topicId: 'id', leaderEpoch: 4 })
  })
  test('reads only what lies behind the checkpoint', async () => {
    const world = await worldWithHistory()
    const { state, store } = open(world.disk)
    const report = await world.restore(state)
    expect(await contents(store)).toEqual(AFTER)
    // The checkpoint lies before the last commit's marker, which is all there is to read.
    expect(report).toMatchObject({ fullBecause: undefined, from: 11, records: 0 })
  })
  test('arrives at an end behind markers, with batches that come late', async () => {
    const world = await worldWithHistory()
    world.log.slots.push('marker', 'marker', 'marker', 'marker')
    Object.assign(world.log, { isLate: true, batchSize: 2 })
    const { state, store } = open(memoryDisk())
    await world.restore(state)
    expect(await contents(store)).toEqual(AFTER)
    expect(state.checkpoint('s')?.offset).toBe(16)
    expect(world.progress.map(({ remaining }) => remaining)).toEqual([14, 12, 10, 8, 6, 4, 2, 0])
    expect(world.progress.at(-1)?.restored).toBe(10)
    expect([world.log.openCursors, world.log.released]).toEqual([0, 8])
  })
  test('of a table stops at the committed input offset, in the middle of a batch', async () => {
    const world = await worldWithHistory()
    world.log.batchSize = 100
    const { state, store } = open(memoryDisk())
    await world.restore(state, { end: asOffset(2) })
    expect(Object.keys(await contents(store))).toEqual(['a', 'b'])
    expect(state.checkpoint('s')?.offset).toBe(2)
  })
  test('that is aborted goes on where it was', async () => {
    const world = await worldWithHistory()
    const disk = memoryDisk()
    const first = open(disk)
    const abort = new AbortController()
    world.log.beforeTake = () => {
      if (world.progress.length === 2) abort.abort(new Error('stopped'))
    }
    world.progress = []
    await expect(world.restore(first.state, {}, { signal: abort.signal })).rejects.toThrow(
      'stopped',
    )
    expect(world.log.openCursors).toBe(0)
    world.log.beforeTake = () => undefined
    const second = open(disk)
    const report = await world.restore(second.state)
    expect(report).toMatchObject({ fullBecause: undefined, from: 9 })
    expect(await contents(second.store)).toEqual(AFTER)
  })
  test('leaves the store ready: what is written next is committed and flushed over it', async () => {
    const world = await worldWithHistory()
    world.disk = memoryDisk()
    await world.work((store) => store.put('i', '3i', 300))
    expect(await contents(open(world.disk).store)).toEqual({ ...AFTER, i: ['3i', 300] })
  })
  test('skips records without a key, and refuses a key that the serde cannot have written', async () => {
    const world = await worldWithHistory()
    world.log.slots.push({ key: null, value: Buffer.from('x'), timestamp: 1 })
    const first = open(memoryDisk())
    await world.restore(first.state)
    expect(await contents(first.store)).toEqual(AFTER)
    world.log.slots.push({ key: Buffer.from('key'), value: Buffer.from('x'), timestamp: 1 })
    const second = open(memoryDisk())
    await expect(world.restore(second.state)).rejects.toMatchObject({
      code: 'MILLRACE_CHANGELOG_CORRUPT',
      place: 'app-s-changelog[0]@13',
    })
  })
})

/** A disk that is `changes` behind the log, and what the store is with them. */
async function behind(): Promise<{ world: World; disk: MemoryDisk }> {
  const world = await worldWithHistory()
  const disk = memoryDisk()
  for (const [key, value] of world.disk.entries) disk.entries.set(key, value)
  await world.work((store) => {
    store.put('a', '3a', 300)
    store.delete('c', 300)
    for (const key of 'ijklmn') store.put(key, `3${key}`, 300)
  })
  await world.work((store) => store.delete('i', 400))
  world.progress = []
  return { world, disk }
}

const BEHIND: Record<string, unknown> = {
  ...AFTER,
  a: ['3a', 300],
  ...Object.fromEntries('jklmn'.split('').map((key) => [key, [`3${key}`, 300]])),
}
delete BEHIND['c']

describe('a replay into the layers', () => {
  test('leaves database and checkpoint to the flush, and reads see it at once', async () => {
    const { world, disk } = await behind()
    const before = new Map(disk.entries)
    const { state, store } = open(disk)
    const report = await world.replay(state)
    expect(report).toMatchObject({ fullBecause: undefined, from: 11, records: 9 })
    expect(await contents(store)).toEqual(BEHIND)
    expect([store.get('c'), store.get('i'), store.get('n')]).toEqual([undefined, undefined, '3n'])
    expect(disk.entries).toEqual(before)
    await state.flush()
    expect(state.checkpoint('s')).toMatchObject({ offset: world.log.slots.length, leaderEpoch: 4 })
    expect(state.unflushedBytes).toBe(0)
    expect(await contents(open(disk).store)).toEqual(BEHIND)
  })
  test('that is killed before its flush is made again, with what was committed since', async () => {
    const { world, disk } = await behind()
    world.disk = disk
    for (let life = 0; life < 3; life++) {
      const { state, store } = open(disk)
      expect(await world.replay(state)).toMatchObject({ from: 11, records: 9 + life })
      store.put('z', `${life}`, 500)
      for (const write of state.seal())
        world.log.slots.push(changelogRecord(write, world.log.at, PREFIX))
      state.commit(new Map([['s', { offset: asOffset(world.log.slots.length), topicId: 'id' }]]))
      expect(await contents(store)).toEqual({ ...BEHIND, z: [`${life}`, 500] })
    }
    const { state, store } = open(disk)
    await world.replay(state)
    await state.flush()
    expect(await contents(store)).toEqual({ ...BEHIND, z: ['2', 500] })
    expect(await contents(open(disk).store)).toEqual({ ...BEHIND, z: ['2', 500] })
  })
  test.each([1, 500, 1_000])(
    'that is longer than %i bytes is flushed, and the rest is written as it is read',
    async (replayBytes) => {
      const { world, disk } = await behind()
      const { state, store } = open(disk, replayBytes)
      await world.replay(state)
      expect(state.unflushedBytes).toBe(0)
      expect(state.checkpoint('s')?.offset).toBe(world.log.slots.length)
      expect(await contents(store)).toEqual(BEHIND)
      expect(await contents(open(disk).store)).toEqual(BEHIND)
    },
  )
  test('does not count as congestion, and is flushed in its time', async () => {
    const { world, disk } = await behind()
    const { state } = open(disk)
    await world.replay(state)
    expect(state.unflushedBytes).toBeGreaterThan(1_000)
    const stores = [{ name: 's', persistent: true, logged: true }]
    const databases = { database: memoryDatabase({ disk }), volatileDatabase: memoryDatabase() }
    const limits = { unflushedBytes: 100, flushBytes: 100 }
    const tight = new TaskState({ stores, ...databases, clock, limits })
    await world.replay(tight)
    tight.flushIfDue()
    await clock.yield()
    expect([tight.isCongested, tight.checkpoint('s')?.offset]).toEqual([false, 11])
    clock.advance(2_000)
    tight.flushIfDue()
    await tight.flush()
    expect(tight.checkpoint('s')?.offset).toBe(world.log.slots.length)
  })
  test('is not made of a restore in full', async () => {
    const world = await worldWithHistory()
    const { state, store } = open(memoryDisk())
    await world.replay(state)
    expect([state.unflushedBytes, state.checkpoint('s')?.offset]).toEqual([0, 12])
    expect(await contents(store)).toEqual(AFTER)
  })
  test('is forgotten where the log turns out to begin behind it', async () => {
    const { world, disk } = await behind()
    world.log.batchSize = 2
    world.log.beforeTake = () => {
      if (world.progress.length === 2) world.log.earliest = 16
    }
    const { state, store } = open(disk)
    expect(await world.replay(state)).toMatchObject({ fullBecause: 'before-start', from: 16 })
    expect(state.unflushedBytes).toBe(0)
    expect(Object.keys(await contents(store))).toEqual('klmn'.split(''))
    expect(await contents(open(disk).store)).toEqual(await contents(store))
  })
  test('is refused where the task has begun', async () => {
    const { world, disk } = await behind()
    const { state, store } = open(disk)
    await world.replay(state)
    store.put('a', '4a', 500)
    await expect(world.replay(state)).rejects.toThrow(TypeError)
  })
})

test('a checkpoint that stands at the end is written anew where that is long ago', async () => {
  const world = await worldWithHistory()
  await world.restore(open(world.disk).state)
  const writtenAtMs = clock.now()
  for (const stampedAtMs of [writtenAtMs, writtenAtMs + 3_600_000]) {
    clock.advance(1_800_000)
    const { state } = open(world.disk)
    expect(await world.replay(state)).toMatchObject({ records: 0, fullBecause: undefined })
    expect(open(world.disk).state.checkpoint('s')).toEqual({
      offset: world.log.slots.length,
      topicId: 'id',
      leaderEpoch: 4,
      writtenAtMs: stampedAtMs,
    })
  }
})

describe('a checkpoint that does not fit the log clears the store and restores it in full:', () => {
  /** Puts an entry into the database that the log does not have, so that only a cleared store is right. */
  async function stale(world: World): Promise<void> {
    const { state } = open(world.disk)
    const checkpoint = state.checkpoint('s')
    if (checkpoint === undefined) throw new Error('no checkpoint')
    const key = Buffer.concat([Buffer.of(1), Buffer.from('s\0gone')])
    await state.applyRestored('s', [{ key, value: Buffer.alloc(8) }], checkpoint)
  }
  test('the topic was created again', async () => {
    const world = await worldWithHistory()
    await stale(world)
    const { state, store } = open(world.disk)
    expect(await world.restore(state, { topicId: 'another' })).toMatchObject({
      fullBecause: 'topic-recreated',
      from: 0,
    })
    expect(await contents(store)).toEqual(AFTER)
    expect(state.checkpoint('s')?.topicId).toBe('another')
  })
  test('it is beyond the end', async () => {
    const world = await worldWithHistory()
    await stale(world)
    world.log.slots.length = 9
    const { state, store } = open(world.disk)
    expect(await world.restore(state)).toMatchObject({ fullBecause: 'beyond-end' })
    expect(Object.keys(await contents(store))).toEqual('abcdefgh'.split(''))
  })
  test('the log begins behind it', async () => {
    const world = await worldWithHistory()
    await stale(world)
    const disk = world.disk
    world.log.slots.push(
      ...Array.from({ length: 4 }, (_, n) => world.log.slots[n] ?? 'marker'),
      'marker',
    )
    world.log.earliest = 12
    const { state, store } = open(disk)
    expect(await world.restore(state)).toMatchObject({ fullBecause: 'before-start', from: 12 })
    expect(Object.keys(await contents(store))).toEqual('abcd'.split(''))
  })
  test('the log begins behind it while it is read', async () => {
    const world = await worldWithHistory()
    world.log.batchSize = 1
    world.progress = []
    world.log.beforeTake = () => {
      if (world.progress.length === 3) world.log.earliest = 5
    }
    const { state, store } = open(memoryDisk())
    expect(await world.restore(state)).toMatchObject({ fullBecause: 'before-start', from: 5 })
    expect(Object.keys(await contents(store))).toEqual('afgh'.split(''))
  })
  test('a log whose start runs away from the reader is an error in the end', async () => {
    const world = await worldWithHistory()
    world.log.slots.push(...Array.from({ length: 20 }, () => 'marker' as const))
    world.log.beforeTake = () => void world.log.earliest++
    const { state } = open(memoryDisk())
    await expect(world.restore(state)).rejects.toMatchObject({
      code: 'MILLRACE_OFFSET_OUT_OF_RANGE',
    })
    expect(world.log.openCursors).toBe(0)
  })
  test('it is older than deletions are kept', async () => {
    const world = await worldWithHistory()
    await stale(world)
    const { state, store } = open(world.disk)
    clock.advance(86_400_000)
    expect(await world.restore(state, { tombstoneRetentionMs: 86_400_000 })).toMatchObject({
      fullBecause: 'too-old',
    })
    expect(await contents(store)).toEqual(AFTER)
    const sentence = describeFullRestore(world.source(state), 'too-old')
    expect(sentence).toMatch(/^store s is restored in full from app-s-changelog\[0\]: /)
  })
})

describe('a changelog', () => {
  test('is named and configured as Kafka Streams does it', () => {
    expect(changelogTopic('app', 'counts')).toBe('app-counts-changelog')
    expect(() => changelogTopic('app', 'a b')).toThrow(TypeError)
    expect(changelogConfig()).toEqual({
      'cleanup.policy': 'compact',
      'message.timestamp.type': 'CreateTime',
    })
    expect(changelogConfig(12_000_000)['max.message.bytes']).toBe('12000000')
  })
  test('carries keys with the prefix, values without the timestamp, and deletions with one', () => {
    const { state, store } = open(memoryDisk())
    store.put('a', 'value', 100)
    store.delete('b', 101)
    const at = new TestLog().at
    const records = [...state.seal()].map((write) => changelogRecord(write, at, PREFIX))
    expect(records).toEqual([
      {
        ...at,
        key: SERDES.key.serialize('a'),
        value: SERDES.value.serialize('value'),
        timestamp: 100,
        headers: [],
      },
      { ...at, key: SERDES.key.serialize('b'), value: null, timestamp: 101, headers: [] },
    ])
  })
})
