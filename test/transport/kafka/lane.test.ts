import { expect, test } from 'vitest'
import { systemClock } from '../../../runtime/system-clock.ts'
import { HEARTBEAT } from '../../../transport/kafka/api/heartbeat.ts'
import { Lane } from '../../../transport/kafka/cluster/lane.ts'
import { KAFKA_LIMITS } from '../../../transport/kafka/limits.ts'
import { FakeBroker } from './fake-broker.ts'

test('a lane gives up what a broker owes it also where the cluster knows that broker no more', async () => {
  const asked = Promise.withResolvers<void>()
  await using broker = await FakeBroker.start(() => asked.resolve())
  let isKnown = true
  await using lane = new Lane({
    purpose: 'test',
    clientId: 'test',
    tls: undefined,
    sasl: undefined,
    clock: systemClock(),
    limits: KAFKA_LIMITS,
    addressOf: async () => (isKnown ? broker.address : undefined),
  })
  const beat = { groupId: 'g', generation: 1, memberId: 'm', groupInstanceId: null }
  const rejected = expect(lane.request(7, [HEARTBEAT, beat])).rejects.toThrow('it is halted')
  await asked.promise
  isKnown = false
  await lane.drop(7, new Error('it is halted'))
  await rejected
})
