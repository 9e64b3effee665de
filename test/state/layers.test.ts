import { describe, expect, test } from 'vitest'
import { asOffset } from '../../model/position.ts'
import type { Checkpoint } from '../../state/checkpoint.ts'
import { TaskState } from '../../state/layers.ts'
import type { StateLimits } from '../../state/state-limits.ts'
import { memoryDatabase } from '../../state/memory-database.ts'
import { storePrefix } from '../../state/keys.ts'
import type { DatabaseWrite } from '../../state/store.ts'
import { handClock } from './fixtures.ts'

const topicId = 'c3f5b0f2-0000-4000-8000-000000000001'

function at(offset: number): ReadonlyMap<string, Checkpoint> {
  return new Map([['s', { offset: asOffset(offset), topicId }]])
}

/** A state whose database writes wait until they are let through. */
function open(limits: Partial<StateLimits> = {}) {
  const waiting: { writes: readonly DatabaseWrite[]; settle: (error?: Error) => void }[] = []
  let hold = false
  const clock = handClock()
  const database = memoryDatabase({
    settle: (writes) =>
      hold
        ? new Promise((resolve, reject) =>
            waiting.push({
              writes,
              settle: (error) => (error === undefined ? resolve() : reject(error)),
            }),
          )
        : Promise.resolve(),
  })
  const stores = [{ name: 's', persistent: true, logged: true }]
  const make = (): TaskState =>
    new TaskState({ stores, database, volatileDatabase: memoryDatabase(), clock, limits })
  const state = make()
  const put = (key: string, value: string): void =>
    state.store('s').put(Buffer.from(key), stored(value))
  const get = (key: string): string | undefined =>
    state.store('s').get(Buffer.from(key))?.toString('utf8', 8)
  const commit = (offset: number): void => {
    state.seal()
    state.commit(at(offset))
  }
  const inDatabase = (key: string): string | undefined =>
    database.get(Buffer.concat([storePrefix('s'), Buffer.from(key)]))?.toString('utf8', 8)
  return {
    state,
    clock,
    put,
    get,
    commit,
    inDatabase,
    waiting,
    reopen: make,
    hold: (on: boolean) => (hold = on),
    turn: async () => {
      for (let n = 0; n < 4; n++) await clock.yield()
    },
  }
}

const stored = (value: string): Buffer => Buffer.concat([Buffer.alloc(8), Buffer.from(value)])

describe('the database of a task', () => {
  test('holds nothing that was not committed', async () => {
    const { state, put, inDatabase } = open()
    put('a', 'live')
    await state.flush()
    state.seal()
    await state.flush()
    expect(inDatabase('a')).toBeUndefined()
    state.commit(at(1))
    await state.flush()
    expect(inDatabase('a')).toBe('live')
    expect(state.checkpoint('s')).toMatchObject({ offset: 1, topicId })
  })
  test('gets the checkpoint with the last slice only, and one batch at a time', async () => {
    const { state, put, commit, waiting, hold, turn, reopen } = open({ sliceWrites: 2 })
    for (const key of 'abcde') put(key, '1')
    commit(5)
    hold(true)
    const flushed = state.flush()
    const checkpoints: boolean[] = []
    for (let slice = 0; slice < 3; slice++) {
      await turn()
      expect(waiting).toHaveLength(1)
      checkpoints.push((waiting[0]?.writes ?? []).some(({ key }) => key[0] === 0))
      expect(state.checkpoint('s')).toBeUndefined()
      waiting.shift()?.settle()
    }
    await flushed
    expect(checkpoints).toEqual([false, false, true])
    expect(reopen().checkpoint('s')?.offset).toBe(5)
  })
  test('is not given commits that arrive during a flush before the next one', async () => {
    const { state, put, get, commit, waiting, hold, turn, inDatabase } = open()
    put('a', '1')
    commit(1)
    hold(true)
    const flushed = state.flush()
    await turn()
    put('a', '2')
    put('b', '2')
    commit(2)
    hold(false)
    waiting.shift()?.settle()
    await flushed
    expect([inDatabase('a'), inDatabase('b')]).toEqual(['1', undefined])
    expect([get('a'), get('b')]).toEqual(['2', '2'])
    expect(state.checkpoint('s')?.offset).toBe(1)
    await state.flush()
    expect([inDatabase('a'), inDatabase('b')]).toEqual(['2', '2'])
    expect(state.checkpoint('s')?.offset).toBe(2)
  })
  test('counts a key that is written again by what there is of it', () => {
    const { state, put, commit } = open()
    put('a', 'first')
    commit(1)
    const { unflushedBytes } = state
    for (let offset = 2; offset < 100; offset++) {
      put('a', 'other')
      commit(offset)
    }
    expect(state.unflushedBytes).toBe(unflushedBytes)
  })

  test('that is full loses nothing: layers are kept, read, and written again', async () => {
    const { state, put, get, commit, waiting, hold, turn, inDatabase } = open()
    put('a', '1')
    put('b', '1')
    commit(1)
    hold(true)
    const failed = expect(state.flush()).rejects.toThrow('full')
    await turn()
    put('a', '2')
    commit(2)
    waiting.shift()?.settle(new Error('full'))
    await failed
    expect([get('a'), get('b'), inDatabase('a')]).toEqual(['2', '1', undefined])
    expect(state.unflushedBytes).toBeGreaterThan(0)
    hold(false)
    await state.flush()
    expect([inDatabase('a'), inDatabase('b')]).toEqual(['2', '1'])
    expect(state.checkpoint('s')?.offset).toBe(2)
    expect(state.unflushedBytes).toBe(0)
  })
})

describe('a flush that is due', () => {
  test('starts two seconds after the oldest commit, and not before', async () => {
    const { state, put, commit, clock, inDatabase, turn } = open()
    put('a', '1')
    commit(1)
    clock.advance(1_999)
    state.flushIfDue()
    await turn()
    expect(inDatabase('a')).toBeUndefined()
    clock.advance(1)
    state.flushIfDue()
    await turn()
    expect(inDatabase('a')).toBe('1')
  })
  test('starts when enough bytes are committed', async () => {
    const { state, put, commit, inDatabase, turn } = open({ flushBytes: 1_000 })
    put('a', 'x'.repeat(100))
    commit(1)
    state.flushIfDue()
    await turn()
    expect(inDatabase('a')).toBeUndefined()
    put('b', 'x'.repeat(900))
    commit(2)
    state.flushIfDue()
    await turn()
    expect(inDatabase('b')).toHaveLength(900)
  })
  test('throws what the one before failed with, until a flush succeeds', async () => {
    const { state, put, commit, clock, waiting, hold, turn } = open()
    put('a', '1')
    commit(1)
    clock.advance(2_000)
    hold(true)
    state.flushIfDue()
    await turn()
    waiting.shift()?.settle(new Error('full'))
    await turn()
    expect(() => state.flushIfDue()).toThrow('full')
    hold(false)
    await state.flush()
    state.flushIfDue()
  })
  test('writes old checkpoints again, so that an idle store does not look abandoned', async () => {
    const { state, put, commit, clock, turn } = open()
    put('a', '1')
    commit(1)
    await state.flush()
    const before = state.checkpoint('s')?.writtenAtMs ?? NaN
    clock.advance(3_600_000)
    state.flushIfDue()
    await turn()
    expect(state.checkpoint('s')).toMatchObject({ offset: 1, writtenAtMs: before + 3_600_000 })
  })
  test('says when the database is so far behind that the task must wait', async () => {
    const { state, put, commit } = open({ unflushedBytes: 1_000 })
    expect(state.isCongested).toBe(false)
    put('a', 'x'.repeat(1_000))
    commit(1)
    expect(state.isCongested).toBe(true)
    await state.flush()
    expect(state.isCongested).toBe(false)
  })
})

describe('live bytes', () => {
  test('count the newest write of a key only', () => {
    const { state, put } = open()
    put('a', '1')
    const one = state.liveBytes
    for (let n = 0; n < 100; n++) put('a', '2')
    expect(state.liveBytes).toBe(one)
    state.store('s').delete(Buffer.from('a'), 1)
    expect(state.liveBytes).toBe(one - 9)
  })
})

describe('disposing a state', () => {
  test('in the middle of a flush waits for the batch in flight and leaves the old checkpoint', async () => {
    const { state, put, commit, waiting, hold, turn, reopen } = open({ sliceWrites: 1 })
    put('a', '1')
    put('b', '1')
    commit(2)
    hold(true)
    const flushed = state.flush()
    await turn()
    const disposed = state[Symbol.asyncDispose]()
    waiting.shift()?.settle()
    await Promise.all([flushed, disposed])
    await turn()
    expect(waiting).toHaveLength(0)
    expect(reopen().checkpoint('s')).toBeUndefined()
  })
})
