import { expect, test } from 'vitest'
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

const SESSION_MS = 3_000
/** More than the third of a session that is worth a word, and less than a session. */
const BLOCKED_MS = 1_500

test('an app whose step blocks its process for a good part of a session says so, and keeps its tasks', async () => {
  const clock = systemClock()
  const log = memoryLog({ clock })
  await log.admin.createTopics(
    ['in', 'out'].map((topic) => ({ topic: asTopic(topic), partitions: 1 })),
  )
  const events: StreamsEvent[] = []
  const slow = topology('slow', ({ stream }) => {
    stream('in', { key: text, value: text })
      .filter(() => {
        const end = clock.monotonic() + BLOCKED_MS
        while (clock.monotonic() < end);
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
    onEvent: (event) => void events.push(event),
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
  const notices = events.flatMap((event) => (event.kind === 'notice' ? [event.message] : []))
  expect(notices).toMatchObject([
    expect.stringMatching(/stood still for \d{4} ms.*group slow.*3000 ms/),
  ])
  expect(events.filter(({ kind }) => kind === 'restarting' || kind === 'rewound')).toEqual([])
  expect(log.records({ topic: asTopic('out'), partition: asPartition(0) })).toHaveLength(1)
})
