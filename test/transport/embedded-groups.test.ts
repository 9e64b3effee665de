import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { asOffset, asPartition, asTopic } from '../../model/position.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { evenly } from '../../transport/conformance-group-world.ts'
import { EmbeddedTransport } from '../../transport/embedded/embedded-transport.ts'
import { openEmbeddedLog } from '../../transport/embedded/open.ts'
import type { GroupMetadata, Transport } from '../../transport/transport.ts'

const TOPIC = asTopic('topic')
const folder = await mkdtemp(join(tmpdir(), 'millrace-groups-'))
afterAll(() => rm(folder, { recursive: true, force: true }))

const open = (): Promise<Transport> => openEmbeddedLog({ folder, clock: systemClock() })
const none = (): Promise<void> => Promise.resolve()

/** Joins, and resolves with who the member is once it has a share. */
async function joined(log: Transport): Promise<{ metadata: GroupMetadata; closed: Promise<void> }> {
  const { promise, resolve } = Promise.withResolvers<GroupMetadata>()
  const membership = log.openMembership({
    groupId: 'group',
    topics: [TOPIC],
    assignor: evenly,
    userData: () => Buffer.alloc(0),
    heartbeatIntervalMs: 10,
    listener: {
      joining: none,
      revoked: none,
      lost: none,
      assigned: async ({ metadata }) => resolve(metadata),
    },
  })
  membership.start()
  return { metadata: await promise, closed: membership.closed }
}

describe('a group of an embedded log', () => {
  test('has no members when the log is opened again, and takes nothing of those before', async () => {
    const first = await open()
    await first.admin.createTopics([{ topic: TOPIC, partitions: 1 }])
    const { metadata, closed } = await joined(first)
    const offset = { topic: TOPIC, partition: asPartition(0), offset: asOffset(1), metadata: '' }
    await first.admin.commitOffsets('group', [offset], metadata)
    const ended = expect(closed).rejects.toMatchObject({ code: 'MILLRACE_LOG_CLOSED' })
    if (first instanceof EmbeddedTransport) await first.abandon()
    await ended

    await using second = await open()
    expect(await second.admin.describeGroup('group')).toEqual([])
    const late = second.admin.commitOffsets('group', [{ ...offset, offset: asOffset(9) }], metadata)
    await expect(late).rejects.toMatchObject({ code: 'MILLRACE_GROUP_FENCED' })
    const at = { topic: TOPIC, partition: asPartition(0) }
    expect((await second.admin.committedOffsets('group', [at]))[0]?.offset).toBe(1)
    const again = await joined(second)
    expect(again.metadata.memberId).not.toBe(metadata.memberId)
    await expect(
      second.admin.commitOffsets('group', [offset], { ...metadata, generation: 1 }),
    ).rejects.toMatchObject({ code: 'MILLRACE_GROUP_FENCED' })
  })
})
