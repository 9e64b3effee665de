import { expect, test } from 'vitest'
import type { Admin, Transport } from '../../transport/transport.ts'
import { counting } from './counting.ts'
import { MemoryBench } from './memory-bench.ts'

/** A log whose broker hears of a new topic only when it is asked for the `asks`-th time. */
function slowToHear(transport: Transport, topic: string, asks: number): Transport {
  let asked = 0
  const admin: Admin = new Proxy(transport.admin, {
    get: (target, name) => {
      if (name !== 'describeTopics') {
        return (Reflect.get(target, name) as (...given: unknown[]) => unknown).bind(target)
      }
      const describe: Admin['describeTopics'] = async (topics) => {
        const found = await target.describeTopics(topics)
        if (topics?.some((wanted) => wanted === topic) !== true) return found
        asked += 1
        return asked < asks ? found.filter((known) => known.topic !== topic) : found
      }
      return describe
    },
  })
  return {
    admin,
    openReader: (options) => transport.openReader(options),
    openProducer: (options) => transport.openProducer(options),
    openMembership: (options) => transport.openMembership(options),
    [Symbol.asyncDispose]: async () => await transport[Symbol.asyncDispose](),
  }
}

test('an app waits for a topic of its own of which the broker has not heard yet', async () => {
  const bench = await MemoryBench.with(['in', 'out'])
  const life = await bench.start(counting, {
    wrap: (transport) => slowToHear(transport, 'app-counts-changelog', 4),
  })
  await bench.produce('in', [{ key: 'a', value: 'x' }])
  await life.caughtUp()
  expect(bench.texts('out')).toEqual(['a=1'])
  await life.close()
})
