import { describe, expect, test } from 'vitest'
import { asOffset, asPartition, asTopic, type PartitionOffset } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { limitsOf } from '../../runtime/config.ts'
import { resolveStarts, type StartRound } from '../../runtime/start.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { memoryLog, type MemoryLog } from '../../transport/memory/memory-log.ts'

const INPUT = { topic: asTopic('in'), partition: asPartition(0) }
const CHANGELOG = { topic: asTopic('changelog'), partition: asPartition(0) }

/** A log with ten records in each topic, of which the first three are gone. */
async function logWithRecords(): Promise<MemoryLog> {
  const log = memoryLog({ clock: systemClock() })
  const producer = log.openProducer({})
  await producer.init()
  for (const { topic, partition } of [INPUT, CHANGELOG]) {
    await log.admin.createTopics([{ topic, partitions: 1 }])
    for (let n = 0; n < 10; n += 1) {
      const [key, value] = [Buffer.from('k'), Buffer.from(String(n))]
      producer.send({ topic, partition, key, value, timestamp: n, headers: NO_HEADERS })
    }
  }
  await producer.flush()
  log.purgeBefore({ ...INPUT, offset: asOffset(3) })
  return log
}

/** A start that has read its offsets; `meanwhile` is what another process commits after that. */
async function startAfter(
  read: number | undefined,
  meanwhile: number | undefined,
): Promise<readonly PartitionOffset[]> {
  await using log = await logWithRecords()
  const offsetOf = (offset: number) => ({ ...INPUT, offset: asOffset(offset), metadata: '' })
  if (meanwhile !== undefined) await log.admin.commitOffsets('app', [offsetOf(meanwhile)])
  const round: StartRound = {
    transport: log,
    guarantee: 'exactly-once',
    groupId: 'app',
    topicIdOf: () => 'an id',
    writer: { mode: 'static', transactionalId: 'app-0' },
    adopt: false,
    departed: [],
    onFenced: () => {},
    isAlive: () => false,
    initProducer: async () => {},
    commitStarts: async () => {},
    tasks: [
      {
        id: '0_0',
        inputs: [INPUT],
        changelogs: [CHANGELOG],
        hasState: false,
        restore: async () => {},
      },
    ],
    clock: systemClock(),
    limits: limitsOf('exactly-once'),
    signal: new AbortController().signal,
    progress: { committed: [read === undefined ? undefined : offsetOf(read)], starts: [] },
  }
  await resolveStarts.run(round)
  return round.progress.starts
}

describe('a start that another process overtakes', () => {
  test('goes on from what the other committed, where there seemed to be state without offsets', async () => {
    expect(await startAfter(undefined, 7)).toMatchObject([{ offset: 7 }])
  })

  test('goes on from what the other committed, where that one has purged what lies before', async () => {
    expect(await startAfter(1, 7)).toMatchObject([{ offset: 7 }])
  })
})

describe('a start', () => {
  test('is refused where there is state and nobody has committed offsets', async () => {
    await expect(startAfter(undefined, undefined)).rejects.toMatchObject({
      code: 'MILLRACE_OFFSETS_LOST',
    })
  })

  test.each([
    { committed: 2, why: 'from 2 to 2 were removed' },
    { committed: 11, why: 'shorter than what was processed' },
  ])('is refused where the committed offset $committed is outside the log', async (given) => {
    const start = startAfter(given.committed, given.committed)
    await expect(start).rejects.toMatchObject({ code: 'MILLRACE_OFFSET_OUT_OF_RANGE' })
    await expect(start).rejects.toThrow(given.why)
  })
})
