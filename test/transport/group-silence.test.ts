import { expect, test } from 'vitest'
import type { Clock, Timer } from '../../model/clock.ts'
import { asTopic } from '../../model/position.ts'
import { SimulatedClock } from '../../testing/simulated-clock.ts'
import { evenly } from '../../transport/conformance-group-world.ts'
import { SILENCE_PART } from '../../transport/group-silence.ts'
import type { Fate, Operation } from '../../transport/memory/faults.ts'
import { memoryLog } from '../../transport/memory/memory-log.ts'

const SESSION_MS = 9_000
const BEAT_MS = 1_000

/** The clock of a process that can stand still: its timers fire when it goes on. */
class HaltingClock implements Clock {
  readonly world: SimulatedClock
  #goesOn: Promise<void> | undefined

  constructor(world: SimulatedClock) {
    this.world = world
  }

  now(): number {
    return this.world.now()
  }

  monotonic(): number {
    return this.world.monotonic()
  }

  random(): number {
    return this.world.random()
  }

  uuid(): string {
    return this.world.uuid()
  }

  yield(): Promise<void> {
    return this.world.yield()
  }

  timer(delayMs: number, run: () => void): Timer {
    return this.world.timer(delayMs, () => {
      if (this.#goesOn === undefined) run()
      else void this.#goesOn.then(run)
    })
  }

  standStill(forMs: number): void {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#goesOn = promise
    this.world.timer(forMs, () => {
      this.#goesOn = undefined
      resolve()
    })
  }
}

/** A member alone in its group, what it was told in words, and a way to let time pass. */
async function memberOf(decide: (operation: Operation) => Fate | undefined) {
  const world = new SimulatedClock(1)
  const clock = new HaltingClock(world)
  const log = memoryLog({ clock, faults: { decide } })
  const notices: string[] = []
  const events: string[] = []
  const told = async (event: string): Promise<void> => void events.push(event)
  const topic = asTopic('topic')
  const pass = async (ms: number): Promise<void> => {
    let isOver = false
    world.timer(ms, () => (isOver = true))
    await world.runUntil(() => isOver, ms + 1)
  }
  void log.admin.createTopics([{ topic, partitions: 1 }])
  await pass(1)
  const member = log.openMembership({
    groupId: 'app',
    topics: [topic],
    assignor: evenly,
    userData: () => Buffer.alloc(0),
    sessionTimeoutMs: SESSION_MS,
    heartbeatIntervalMs: BEAT_MS,
    onNotice: (message) => notices.push(message),
    listener: {
      joining: () => told('joining'),
      revoked: () => told('revoked'),
      assigned: () => told('assigned'),
      lost: () => told('lost'),
    },
  })
  member.start()
  await pass(10 * BEAT_MS)
  expect(events).toEqual(['joining', 'assigned'])
  expect(notices).toEqual([])
  return { clock, pass, notices, events }
}

test('a process that stood still for a good part of a session is told so, and is still a member', async () => {
  const { clock, pass, notices, events } = await memberOf(() => undefined)
  clock.standStill(SESSION_MS * SILENCE_PART - BEAT_MS)
  await pass(SESSION_MS)
  expect(notices).toEqual([])
  clock.standStill(SESSION_MS * SILENCE_PART + BEAT_MS)
  await pass(SESSION_MS)
  expect(notices).toMatchObject([
    expect.stringMatching(/stood still for \d{4} ms.*group app.*9000 ms/),
  ])
  expect(events).toEqual(['joining', 'assigned'])
})

test('a process whose signs of life nobody answers is told so once, and anew when it happens again', async () => {
  let isCut = false
  const { pass, notices } = await memberOf(({ kind }) =>
    isCut && kind === 'heartbeat' ? { outcome: 'refused' } : undefined,
  )
  isCut = true
  await pass(SESSION_MS * SILENCE_PART - BEAT_MS)
  expect(notices).toEqual([])
  await pass(SESSION_MS / 2)
  expect(notices).toMatchObject([
    expect.stringMatching(/answered no sign of life for \d{4} ms.*9000 ms/),
  ])
  isCut = false
  await pass(2 * BEAT_MS)
  isCut = true
  await pass(SESSION_MS * SILENCE_PART + 2 * BEAT_MS)
  expect(notices).toHaveLength(2)
})
