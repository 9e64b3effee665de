/** Addresses that take connections and say nothing, as a halted machine has them: no wait may last longer for them than it was to. */
import { connect } from 'node:net'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { asPartition, asTopic } from '../../../model/position.ts'
import { systemClock } from '../../../runtime/system-clock.ts'
import { HEARTBEAT } from '../../../transport/kafka/api/heartbeat.ts'
import { LIST_OFFSETS } from '../../../transport/kafka/api/list-offsets.ts'
import { METADATA } from '../../../transport/kafka/api/metadata.ts'
import { askLeaders } from '../../../transport/kafka/cluster/by-leader.ts'
import { KafkaCluster } from '../../../transport/kafka/cluster/cluster.ts'
import { Lane } from '../../../transport/kafka/cluster/lane.ts'
import { describeAddress, type Address } from '../../../transport/kafka/kafka-errors.ts'
import { KAFKA_LIMITS, type KafkaLimits } from '../../../transport/kafka/limits.ts'
import { openKafka } from '../../../transport/kafka/open.ts'
import { FakeBroker } from './fake-broker.ts'

/** The order in which addresses are named is that in which they are tried. */
const clock = { ...systemClock(), random: () => 0 }
const DEADLINE_MS = 300
/** What a busy machine may add: far below one connection's own deadline. */
const SLACK_MS = 2_500
const GROUP = { kind: 'group', key: 'g' } as const
const BEAT = { groupId: 'g', generation: 1, memberId: 'm', groupInstanceId: null }
const AT = { topic: asTopic('t'), partition: asPartition(0) }

async function silent(heard: () => void = () => {}): Promise<FakeBroker> {
  const broker = await FakeBroker.raw((socket) => {
    // What is not read does not tell that the other side has closed.
    socket.resume()
    heard()
  })
  onTestFinished(() => broker[Symbol.asyncDispose]())
  return broker
}

async function live(): Promise<FakeBroker> {
  const broker = await FakeBroker.start()
  onTestFinished(() => broker[Symbol.asyncDispose]())
  return broker
}

async function gone(): Promise<Address> {
  const broker = await FakeBroker.raw(() => {})
  await broker[Symbol.asyncDispose]()
  return broker.address
}

function clusterOf(brokers: readonly Address[], limits: Partial<KafkaLimits> = {}): KafkaCluster {
  const cluster = new KafkaCluster({ brokers, clock, limits })
  onTestFinished(() => cluster[Symbol.asyncDispose]())
  return cluster
}

function laneOf(addressOf: (node: number) => Address): Lane {
  const plain = { clientId: 'test', tls: undefined, sasl: undefined, clock, limits: KAFKA_LIMITS }
  const lane = new Lane({ ...plain, purpose: 'test', addressOf: async (node) => addressOf(node) })
  onTestFinished(() => lane[Symbol.asyncDispose]())
  return lane
}

/** The error of `work`, which has to come in time. */
async function lateError(work: Promise<unknown>, withinMs = DEADLINE_MS + SLACK_MS) {
  const begunMs = clock.monotonic()
  const error = await work.then(
    () => new Error('it succeeded'),
    (problem: unknown) => problem as Error & { readonly code: string },
  )
  expect(clock.monotonic() - begunMs).toBeLessThan(withinMs)
  return error
}

describe('where all addresses take connections and say nothing', () => {
  test('opening a log ends at its deadline, and names them', async () => {
    const brokers = [await silent(), await silent(), await silent()]
    const names = brokers.map(({ address }) => describeAddress(address))
    const limits = { openDeadlineMs: DEADLINE_MS, nextAddressAfterMs: 50 }
    const error = await lateError(openKafka({ brokers: names, clock, limits }))
    expect(error).toMatchObject({ code: 'MILLRACE_KAFKA_UNREACHABLE', kind: 'retriable' })
    for (const name of names) expect(error.message).toContain(`${name} cannot be reached: no conn`)
    await vi.waitFor(() => expect(brokers.map(({ connections }) => connections)).toEqual([0, 0, 0]))
  })

  test.each<[string, (cluster: KafkaCluster) => Promise<unknown>]>([
    ['the abilities of some broker', (to) => to.abilities({ deadlineMs: DEADLINE_MS })],
    [
      'a question to any broker',
      (to) => to.askAny([METADATA, { topics: [] }], { deadlineMs: DEADLINE_MS }),
    ],
    [
      'a question that is asked once',
      (to) => to.askAnyOnce([METADATA, { topics: [] }], { deadlineMs: DEADLINE_MS }),
    ],
    ['metadata', (to) => to.metadata.refresh([], { deadlineMs: DEADLINE_MS })],
    ['the leader of a partition', (to) => to.metadata.leader(AT, { deadlineMs: DEADLINE_MS })],
    [
      'the search for a coordinator',
      (to) => to.coordinators.find(GROUP, { deadlineMs: DEADLINE_MS }),
    ],
    [
      'a question to a coordinator',
      (to) =>
        to.askCoordinator(GROUP, [HEARTBEAT, BEAT], {
          deadlineMs: DEADLINE_MS,
          codeOf: ({ errorCode }) => errorCode,
        }),
    ],
    [
      'a question to leaders',
      (to) =>
        askLeaders(to, [AT], {
          api: LIST_OFFSETS,
          request: () => ({ isolation: 0 as const, topics: [] }),
          deadlineMs: DEADLINE_MS,
        }),
    ],
    [
      'a request to a node whose address is not known',
      (to) => to.ask(1, [HEARTBEAT, BEAT], { deadlineMs: DEADLINE_MS }),
    ],
  ])('%s ends at its deadline, and says what became of each', async (_, ask) => {
    const [mute, absent] = [await silent(), await gone()]
    const cluster = clusterOf([mute.address, absent], { nextAddressAfterMs: 50 })
    const error = await lateError(ask(cluster))
    expect(error).toMatchObject({ code: 'MILLRACE_KAFKA_UNREACHABLE', kind: 'retriable' })
    expect(error.message).toContain(`${describeAddress(mute.address)} cannot be reached: no conn`)
    expect(error.message).toContain(`${describeAddress(absent)} cannot be reached: nothing listens`)
    await vi.waitFor(() => expect(mute.connections).toBe(0))
  })

  test('a request to a node ends at its deadline, and names its address', async () => {
    const mute = await silent()
    const lane = laneOf(() => mute.address)
    const beat = lane.request(7, [HEARTBEAT, BEAT], { deadlineMs: DEADLINE_MS })
    const error = await lateError(beat)
    expect(error).toMatchObject({ code: 'MILLRACE_KAFKA_UNREACHABLE', kind: 'retriable' })
    expect(error.message).toContain(describeAddress(mute.address))
    await vi.waitFor(() => expect(mute.connections).toBe(0))
  })

  test('a connection that is only being opened can be dropped', async () => {
    const mute = await silent()
    const lane = laneOf(() => mute.address)
    const beat = lane.request(7, [HEARTBEAT, BEAT])
    beat.catch(() => undefined)
    await vi.waitFor(() => expect(mute.connections).toBe(1))
    await lane.drop(7, new Error('it is halted'))
    await expect(beat).rejects.toThrow('it is halted')
  })
})

describe('one silent address', () => {
  test('holds up the next one for a moment only, and is let go when that wins', async () => {
    const [mute, answering] = [await silent(), await live()]
    const cluster = clusterOf([mute.address, answering.address], { nextAddressAfterMs: 50 })
    const begunMs = clock.monotonic()
    await cluster.abilities()
    expect(clock.monotonic() - begunMs).toBeLessThan(SLACK_MS)
    await vi.waitFor(() => expect(mute.connections).toBe(0))
    expect(answering.connections).toBe(1)
  })

  test('wins where it answers after all, and the next does not', async () => {
    const slow = await live()
    const begun = Promise.withResolvers<void>()
    // It answers as soon as the other one was begun.
    const mute = await silent(() => begun.resolve())
    const gate = await gated(slow.address, begun.promise)
    const cluster = clusterOf([gate.address, mute.address], { nextAddressAfterMs: 50 })
    await cluster.abilities()
    await vi.waitFor(() => expect([gate.connections, mute.connections]).toEqual([1, 0]))
  })

  test('is tried last the next time', async () => {
    const [mute, answering] = [await silent(), await live()]
    const cluster = clusterOf([mute.address, answering.address], { nextAddressAfterMs: 200 })
    await cluster.abilities()
    await vi.waitFor(() => expect(mute.connections).toBe(0))
    answering.cut()
    const begunMs = clock.monotonic()
    await vi.waitFor(() => cluster.abilities())
    expect(clock.monotonic() - begunMs).toBeLessThan(SLACK_MS)
    expect(mute.connections).toBe(0)
  })

  test('that is being connected to hides no open connection', async () => {
    const [mute, answering] = [await silent(), await live()]
    const lane = laneOf(() => mute.address)
    const opening = lane.connectTo(mute.address)
    opening.catch(() => undefined)
    const open = await lane.connectTo(answering.address)
    expect(lane.anyOpen).toBe(open)
  })
})

test('who waits with more patience keeps an attempt that another has given up', async () => {
  const answering = await live()
  const opened = Promise.withResolvers<void>()
  const gate = await gated(answering.address, opened.promise)
  const lane = laneOf(() => gate.address)
  const patient = lane.connectTo(gate.address)
  const hasty = lane.connectTo(gate.address, AbortSignal.abort(new Error('too long')))
  await expect(hasty).rejects.toThrow('too long')
  opened.resolve()
  expect((await patient).isOpen).toBe(true)
  expect(gate.connections).toBe(1)
})

/** A port that passes bytes on to `target` from the moment on when `opened` resolves. */
async function gated(target: Address, opened: Promise<void>): Promise<FakeBroker> {
  const gate = await FakeBroker.raw((socket) => {
    socket.pause()
    void opened.then(() => {
      const beyond = connect(target.port, target.host)
      beyond.on('error', () => socket.destroy())
      socket.on('close', () => beyond.destroy())
      socket.pipe(beyond).pipe(socket)
    })
  })
  onTestFinished(() => gate[Symbol.asyncDispose]())
  return gate
}
