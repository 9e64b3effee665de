import { expect, test } from 'vitest'
import type { Clock, LoopWatched } from '../../model/clock.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import type { StreamsEvent } from '../../runtime/config.ts'
import { streams } from '../../runtime/app.ts'
import { memoryRegistry } from '../../serdes/memory-registry.ts'
import { text } from '../../serdes/primitives.ts'
import { asPartition, asTopic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { MemoryHome } from '../../state/home.ts'
import { topology } from '../../topology/builder.ts'
import { memoryLog } from '../../transport/memory/memory-log.ts'

/** So long that what a busy machine adds to it is nothing. */
const SESSION_MS = 120_000
/** More than the third of a session that is worth a word, and far less than a session. */
const BLOCKED_MS = 50_000

test('an app whose step blocks its process for a good part of a session says so, and keeps its tasks', async () => {
  const system = systemClock()
  let blockedMs = 0
  // Time passes at once where the step takes it: nothing else has its turn meanwhile, as in a busy loop.
  const clock = { ...system, monotonic: () => system.monotonic() + blockedMs }
  const log = memoryLog({ clock })
  await log.admin.createTopics(
    ['in', 'out'].map((topic) => ({ topic: asTopic(topic), partitions: 1 })),
  )
  const events: StreamsEvent[] = []
  const noticed = Promise.withResolvers<void>()
  const slow = topology('slow', ({ stream }) => {
    stream('in', { key: text, value: text })
      .filter(() => {
        blockedMs += BLOCKED_MS
        return true
      })
      .to('out')
  })
  await using app = streams(slow, {
    transport: log.connect('app'),
    registry: memoryRegistry(),
    clock,
    assignment: { kind: 'group' },
    limits: { sessionTimeoutMs: SESSION_MS, heartbeatIntervalMs: 100 },
    state: { kind: 'given', open: async () => new MemoryHome({ processId: 'one' }) },
    onEvent: (event) => {
      events.push(event)
      if (event.kind === 'notice') noticed.resolve()
    },
  })
  await app.start()
  await using producer = log.openProducer({})
  await producer.init()
  producer.send({
    topic: asTopic('in'),
    partition: asPartition(0),
    key: Buffer.from('a'),
    value: Buffer.from('1'),
    timestamp: 0,
    headers: NO_HEADERS,
  })
  await producer.flush()
  await app.caughtUp()
  // At its next heartbeat.
  await noticed.promise
  const notices = events.flatMap((event) => (event.kind === 'notice' ? [event.message] : []))
  expect(notices).toMatchObject([
    expect.stringMatching(/stood still for \d{5} ms.*group slow.*120000 ms/),
  ])
  expect(events.filter(({ kind }) => kind === 'restarting' || kind === 'rewound')).toEqual([])
  expect(log.records({ topic: asTopic('out'), partition: asPartition(0) })).toHaveLength(1)
})

test('the loop of a process is watched while it is a member of a group, and only then', async () => {
  const watched: LoopWatched[] = []
  let isOver = false
  const clock: Clock = {
    ...systemClock(),
    watchLoop: (request) => {
      watched.push(request)
      return { [Symbol.dispose]: () => (isOver = true) }
    },
  }
  const log = memoryLog({ clock })
  await log.admin.createTopics(
    ['in', 'out'].map((topic) => ({ topic: asTopic(topic), partitions: 1 })),
  )
  const through = topology('through', ({ stream }) => {
    stream('in', { key: text, value: text }).to('out')
  })
  const notices: string[] = []
  const run = async (assignment: { readonly kind: 'group' | 'static' }, check: () => void) => {
    await using app = streams(through, {
      transport: log.connect('app'),
      registry: memoryRegistry(),
      clock,
      assignment,
      adopt: true,
      limits: { sessionTimeoutMs: SESSION_MS },
      state: { kind: 'given', open: async () => new MemoryHome({ processId: 'one' }) },
      onEvent: (event) => {
        if (event.kind === 'notice') notices.push(event.message)
      },
    })
    await app.start()
    check()
  }
  await run({ kind: 'static' }, () => expect(watched).toEqual([]))
  await run({ kind: 'group' }, () => {
    expect(watched).toMatchObject([
      {
        afterMs: 40_000,
        message: expect.stringMatching(
          /stands still.*40000 ms.*group through.*120000 ms/,
        ) as string,
      },
    ])
    expect(isOver).toBe(false)
    watched[0]?.onFailed(new Error('no more threads'))
    expect(notices).toMatchObject([expect.stringMatching(/Nothing watches.*no more threads/)])
  })
  expect(isOver).toBe(true)
})
