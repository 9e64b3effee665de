import { describe, expect, test } from 'vitest'
import { allTasks, type GroupAssignment } from '../../runtime/assignment.ts'
import { limitsOf, type StreamsEvent } from '../../runtime/config.ts'
import { openTopology } from '../../runtime/open-topology.ts'
import { Standbys } from '../../runtime/standbys.ts'
import { TaskState } from '../../state/layers.ts'
import { memoryDatabase, memoryDisk } from '../../state/memory-database.ts'
import type { Admin, Reader, Transport } from '../../transport/transport.ts'
import { counting } from './counting.ts'
import { MemoryBench, type LifeOptions } from './memory-bench.ts'

const GROUP: GroupAssignment = { kind: 'group', standbys: 1 }
const CHANGELOG = 'app-counts-changelog'

/** What of a log does not answer, from when on a test says so. */
class Silence {
  /** How many restores that begin from now on get no record. */
  restores = 0
  /** Whether the ends of what is committed are not told. */
  ends = false
  /** Questions and restores that were met by it. */
  met = 0

  wrap(transport: Transport): Transport {
    const { admin } = transport
    return {
      admin: Object.assign(admin, { offsets: this.#offsets(admin) }),
      openReader: (options) => this.#reader(transport.openReader(options)),
      openMembership: (options) => transport.openMembership(options),
      openProducer: (options) => transport.openProducer(options),
      [Symbol.asyncDispose]: async () => await transport[Symbol.asyncDispose](),
    }
  }

  #offsets(admin: Admin): Admin['offsets'] {
    const offsets = admin.offsets.bind(admin)
    return async (...args) => {
      const [, end, isolation] = args
      if (!this.ends || end !== 'latest' || isolation !== 'read_committed')
        return await offsets(...args)
      this.met += 1
      return await new Promise(() => {})
    }
  }

  #reader(reader: Reader): Reader {
    const [open, ready] = [reader.open.bind(reader), reader.ready.bind(reader)]
    let isSilent = false
    return Object.assign(reader, {
      open: (...args: Parameters<Reader['open']>) => {
        if (this.restores > 0 && args[0].topic === CHANGELOG) {
          this.restores -= 1
          this.met += 1
          isSilent = true
        }
        const cursor = open(...args)
        return isSilent ? Object.assign(cursor, { take: () => undefined }) : cursor
      },
      ready: async (signal?: AbortSignal) => {
        if (!isSilent) return await ready(signal)
        const aborted = Promise.withResolvers<never>()
        signal?.addEventListener('abort', () => aborted.reject(signal.reason))
        await aborted.promise
      },
    })
  }
}

async function produce(bench: MemoryBench, partitions: number): Promise<void> {
  const records = Array.from({ length: partitions }, (_, partition) => ({
    key: `key-${partition}`,
    value: 'x',
    partition,
  }))
  await bench.produce('in', records)
}

function written(bench: MemoryBench, partitions: number): number {
  return Array.from({ length: partitions }, (_, p) => bench.texts('out', p)).flat().length
}

/** Two processes, each with copies of the other's tasks; a silence falls on the second's log. */
async function two(bench: MemoryBench) {
  const silence = new Silence()
  const options: LifeOptions = { assignment: GROUP }
  const first = await bench.start(counting, { ...options, machine: 'one' })
  const wrap = (transport: Transport): Transport => silence.wrap(transport)
  const second = await bench.start(counting, { ...options, machine: 'two', wrap })
  await bench.pass(10_000)
  return { first, second, silence }
}

describe('a copy that is far behind', () => {
  test('does not keep its task, nor another, from being taken over', async () => {
    const bench = await MemoryBench.with(['in', 'out'], 4)
    const { first, second, silence } = await two(bench)
    silence.restores = 1
    await produce(bench, 4)
    await bench.until(() => silence.met === 1 && written(bench, 4) === 4)
    const beganMs = bench.clock.now()
    await first.close()
    await produce(bench, 4)
    await bench.until(() => written(bench, 4) === 8)
    expect(bench.clock.now() - beganMs).toBeLessThan(30_000)
    expect(second.events.some(({ kind }) => kind === 'restarting')).toBe(false)
    const counts = [0, 1, 2, 3].flatMap((p) => bench.texts('out', p)).toSorted()
    expect(counts).toEqual([0, 1, 2, 3].flatMap((p) => [`key-${p}=1`, `key-${p}=2`]))
    await second.close()
  })

  test('is left at once by a stop', async () => {
    const bench = await MemoryBench.with(['in', 'out'], 2)
    const { first, second, silence } = await two(bench)
    silence.restores = 1
    await produce(bench, 2)
    await bench.until(() => silence.met === 1)
    const beganMs = bench.clock.now()
    await second.close()
    expect(bench.clock.now() - beganMs).toBeLessThan(5_000)
    await first.close()
  })
})

test('a stop waits for no end of a changelog that the log does not tell', async () => {
  const bench = await MemoryBench.with(['in', 'out'], 2)
  const { first, second, silence } = await two(bench)
  silence.ends = true
  await bench.until(() => silence.met === 1)
  const beganMs = bench.clock.now()
  await second.close()
  expect(bench.clock.now() - beganMs).toBeLessThan(5_000)
  await first.close()
})

describe('a copy that had nothing to do for longer than deletions are kept', () => {
  const DAY_MS = 86_400_000

  /** Copies of the only task of a program whose table's log a test writes itself. */
  async function follower(bench: MemoryBench) {
    await bench.createTopics([CHANGELOG], 1, { 'delete.retention.ms': String(DAY_MS) })
    const { registry, clock } = bench
    const open = await bench.settle(openTopology(counting, 'app', { registry, clock }))
    const events: StreamsEvent[] = []
    const [taskId] = allTasks(counting.subtopologies, () => 1)
    if (taskId === undefined) throw new Error('no task')
    const services = {
      open,
      clock,
      limits: { ...limitsOf('exactly-once'), standbyIntervalMs: 600_000 },
      onEvent: (event: StreamsEvent) => void events.push(event),
    }
    const disk = memoryDisk()
    const run = () => {
      const stop = new AbortController()
      const standbys = new Standbys({
        groupId: 'app',
        transport: bench.log,
        services,
        open: async () => {
          const database = memoryDatabase({ disk })
          const stores = taskId.subtopology.stores.map(({ spec }) => spec)
          const state = new TaskState({
            stores,
            database,
            volatileDatabase: memoryDatabase(),
            clock,
          })
          return {
            taskId,
            state,
            [Symbol.asyncDispose]: async () => await state[Symbol.asyncDispose](),
          }
        },
      })
      standbys.want([taskId])
      const running = standbys.run(stop.signal)
      return async () => {
        stop.abort(new Error('over'))
        await bench.settle(running)
        await bench.settle(standbys.end())
      }
    }
    return { run, events }
  }

  test.each([
    ['in one life', 1],
    ['in lives of half an hour', 48],
  ])('is not too old for the next record (%s)', async (_, lives) => {
    const bench = await MemoryBench.with(['in', 'out'])
    const { run, events } = await follower(bench)
    await bench.produce(CHANGELOG, [
      { key: 'a', value: '1' },
      { key: 'b', value: '1' },
    ])
    for (let life = 0; life < lives; life += 1) {
      const end = run()
      await bench.pass(DAY_MS / lives)
      await end()
    }
    expect(events.length).toBeGreaterThan(0)
    events.length = 0
    await bench.produce(CHANGELOG, [{ key: 'a', value: '2' }])
    const end = run()
    await bench.until(() => events.length > 0)
    expect(events).toEqual([{ kind: 'restoring', store: 'counts', restored: 1, remaining: 0 }])
    await end()
  })
})
