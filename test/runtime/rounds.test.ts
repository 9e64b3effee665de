/** When a unit commits, how much at once, and how often it wakes up when nothing is to be committed. */
import { expect, test } from 'vitest'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import { transactionTimedOut } from '../../transport/log-errors.ts'
import { MemoryBench, type Life } from './memory-bench.ts'
import { counting } from './counting.ts'
import { gated } from './wrapped-transport.ts'

/** How many timers a process sets within so long. */
async function timersOf(life: Life, bench: MemoryBench, ms: number): Promise<number> {
  const timer = life.clock.timer.bind(life.clock)
  let count = 0
  life.clock.timer = (delayMs, run) => {
    count += 1
    return timer(delayMs, run)
  }
  await bench.pass(ms)
  life.clock.timer = timer
  return count
}

test('a process without tasks wakes up no more often than one with a quiet task', async () => {
  const bench = await MemoryBench.with(['in', 'out'])
  const group = { assignment: { kind: 'group' } } as const
  const owner = await bench.start(counting, { machine: 'a', ...group })
  const spare = await bench.start(counting, { machine: 'b', ...group })
  await bench.pass(60_000)
  const limit = (await timersOf(owner, bench, 10_000)) + 5
  expect(await timersOf(spare, bench, 10_000)).toBeLessThanOrEqual(limit)
  await spare.close()
  await owner.close()
})

test('a commit that is on its way for longer than offsets may wait to be committed anew lets the loop sleep', async () => {
  const bench = await MemoryBench.with(['in', 'out'])
  let isShut = false
  const opened = Promise.withResolvers<void>()
  const life = await bench.start(counting, {
    limits: { recommitMs: 1_000 },
    wrap: (transport) =>
      gated(transport, {
        beforeCommit: async () => {
          if (isShut) await opened.promise
        },
      }),
  })
  isShut = true
  await bench.pass(5_000)
  expect(await timersOf(life, bench, 10_000)).toBeLessThan(50)
  opened.resolve()
  isShut = false
  await bench.produce('in', [{ key: 'a', value: 'x' }])
  await life.caughtUp()
  expect(bench.texts('out')).toEqual(['a=1'])
  await life.close()
})

test('transactions that take longer than their timeout become smaller, until they are taken', async () => {
  const bench = await MemoryBench.with(['in', 'out'])
  const [recordBytes, takenBytes] = [20_000, 3_000_000]
  const values = Array.from({ length: 1_500 }, (_, index) => `${index}`.padEnd(recordBytes, '.'))
  await bench.produce(
    'in',
    values.map((value) => ({ value })),
  )
  let sentBytes = 0
  let refusals = 0
  const echo = topology('app', ({ stream }) => {
    stream('in', { key: text, value: text }).to('out')
  })
  const life = await bench.start(echo, {
    limits: { commitBytes: 8_000_000, commitIntervalMs: 20_000 },
    wrap: (transport) =>
      gated(transport, {
        onSend: () => (sentBytes += recordBytes),
        beforeCommit: async () => {
          const isOver = sentBytes > takenBytes
          sentBytes = 0
          if (!isOver) return
          refusals += 1
          throw transactionTimedOut('app')
        },
      }),
  })
  await life.caughtUp()
  await life.close()
  expect(bench.texts('out')).toEqual(values.map((value) => `null=${value}`))
  expect(refusals).toBeGreaterThan(0)
  expect(life.events.map(({ kind }) => kind)).not.toContain('restarting')
})
