/** What the processes of a group tell each other when they join. */
import { expect, test } from 'vitest'
import type { GroupAssignment } from '../../runtime/assignment.ts'
import { decodeAssignmentData, type TaskOwner } from '../../runtime/group-user-data.ts'
import type { Transport } from '../../transport/transport.ts'
import { counting } from './counting.ts'
import { MemoryBench, type LifeOptions } from './memory-bench.ts'

const PARTITIONS = 2

function as(machine: string, options: Partial<GroupAssignment>): LifeOptions {
  return { machine, assignment: { kind: 'group', ...options } }
}

/** The transport, with the owners of tasks that its member was told last. */
function overheard(transport: Transport, hear: (owners: readonly TaskOwner[]) => void): Transport {
  return {
    admin: transport.admin,
    openReader: (options) => transport.openReader(options),
    openProducer: (options) => transport.openProducer(options),
    openMembership: ({ listener, ...options }) =>
      transport.openMembership({
        ...options,
        listener: {
          joining: async () => await listener.joining(),
          revoked: async (partitions) => await listener.revoked(partitions),
          assigned: async (assigned) => {
            hear(decodeAssignmentData(assigned.userData).owners)
            await listener.assigned(assigned)
          },
          lost: async (partitions, reason) => await listener.lost(partitions, reason),
        },
      }),
    [Symbol.asyncDispose]: async () => await transport[Symbol.asyncDispose](),
  }
}

test('each hears where the others can be asked', async () => {
  const bench = await MemoryBench.with(['in', 'out'], PARTITIONS)
  const heard = new Map<string, readonly TaskOwner[]>()
  const join = async (name: string) =>
    await bench.start(counting, {
      ...as(name, { address: `${name}:7000` }),
      wrap: (transport) => overheard(transport, (owners) => void heard.set(name, owners)),
    })
  const lives = [await join('a'), await join('b')]
  const addresses = (name: string): string =>
    (heard.get(name) ?? [])
      .flatMap(({ address = '?', tasks }) => tasks.map(() => address))
      .toSorted()
      .join()
  await bench.until(() => ['a', 'b'].every((name) => addresses(name) === 'a:7000,b:7000'))
  for (const life of lives) await life.close()
})

test('another version of the same topology is refused, and the group goes on', async () => {
  const bench = await MemoryBench.with(['in', 'out'], PARTITIONS)
  const old = await bench.start(counting, as('a', { version: '1' }))
  const bumped = bench.life(counting, as('b', { version: '2' }))
  bumped.app.start().catch(() => {})
  expect(await bumped.failure()).toMatchObject({
    code: 'MILLRACE_GROUP_OTHER_TOPOLOGY',
    message: expect.stringContaining('its version ("2")'),
  })
  await bench.produce('in', [{ key: 'k', value: 'x' }])
  await old.caughtUp()
  expect(bench.texts('out')).toEqual(['k=1'])
  await old.close()
  const next = await bench.start(counting, as('b', { version: '2' }))
  await bench.produce('in', [{ key: 'k', value: 'x' }])
  await next.caughtUp()
  await next.close()
})
