import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { hours } from '../../model/duration.ts'
import { asTopic } from '../../model/position.ts'
import type { StreamRecord } from '../../model/record.ts'
import type { FunctionEnricher } from '../../processors/enricher.ts'
import type { ProcessorContext } from '../../processors/processor.ts'
import { text } from '../../serdes/primitives.ts'
import type { JoinWindowStoreSpec, SessionStoreSpec, WindowStoreSpec } from '../../state/store.ts'
import { topologyTestDriver } from '../../testing/topology-test-driver.ts'
import { topology } from '../../topology/builder.ts'
import { Bench } from './fixtures.ts'

const SERDES = { key: text, value: text }
const SHARED = { ...SERDES, persistent: true, logged: true, retentionMs: 100 }
const windows: WindowStoreSpec<string, string> = {
  kind: 'window',
  name: 'windows',
  ...SHARED,
  sizeMs: 10,
}
const rows: JoinWindowStoreSpec<string, string> = {
  kind: 'join-window',
  name: 'rows',
  ...SHARED,
  windowMs: 20,
}
const sessions: SessionStoreSpec<string, string> = { kind: 'session', name: 'sessions', ...SHARED }

/** Adds each value to what three stores hold of its key, and tells what they hold then. */
const keeps = {
  value: text,
  stores: [windows, rows, sessions],
  create: (context: ProcessorContext<string, string>) => {
    const window = context.windowStore(windows)
    const row = context.joinWindowStore(rows)
    const session = context.sessionStore(sessions)
    return (record: StreamRecord<string, string>) => {
      const { key, value, timestamp } = record
      const startMs = timestamp - (timestamp % 10)
      const before = window.fetch(key, startMs)?.value ?? ''
      window.put(key, startMs, { value: before + value, timestamp })
      row.put(key, value, timestamp)
      const [last] = session.find(key, timestamp - 10, timestamp + 10)
      if (last !== undefined) session.remove(key, last, timestamp)
      const merged = { value: (last?.value ?? '') + value, timestamp }
      session.put(key, { ...merged, startMs: last?.startMs ?? timestamp, endMs: timestamp })
      const told = [
        window.fetch(key, startMs)?.value,
        row
          .fetch(key, 0, timestamp)
          .map((each) => each.value)
          .join(''),
        session
          .find(key, 0, timestamp)
          .map((each) => each.value)
          .join('|'),
      ]
      context.forward(record.withValue(told.join(' ')))
    }
  },
}

const keeping = () =>
  topology('timed', ({ stream }) => {
    stream('in', SERDES).processValues(keeps).to('out')
  })

test('a step has its stores with times after a restart, and after their disk was lost', async () => {
  await using bench = await Bench.open()
  await bench.createTopics(['in', 'out'])
  const run = async (timestamp: number): Promise<string | undefined> => {
    const app = bench.app(keeping())
    await app.start()
    await bench.produce('in', [{ key: 'k', value: 'x', timestamp }])
    await app.caughtUp()
    await app.close()
    return (await bench.texts('out')).at(-1)
  }
  expect(await run(1)).toBe('k=x x x')
  expect(await run(2)).toBe('k=xx xx xx')
  await rm(join(bench.folder, 'state'), { recursive: true })
  expect(await run(3)).toBe('k=xxx xxx xxx')
  expect(await run(30)).toBe('k=x xxxx xxx|x')
  // What was observed at 1 and before has expired, and comes back from no changelog.
  expect(await run(102)).toBe('k=x xxx xxx|x|x')
  await rm(join(bench.folder, 'state'), { recursive: true })
  expect(await run(105)).toBe('k=xx xxx x|xx')
})

test('the changelogs of stores with times forget as the stores do, and a day later', async () => {
  await using bench = await Bench.open()
  await bench.createTopics(['in', 'out'])
  const app = bench.app(keeping())
  await app.start()
  await app.close()
  const names = ['windows', 'rows', 'sessions'].map((name) => asTopic(`timed-${name}-changelog`))
  const configs = (await bench.transport.admin.describeTopics(names)).map(({ config }) => config)
  const retention = { 'retention.ms': String(100 + hours(24)) }
  expect(configs).toMatchObject([
    { 'cleanup.policy': 'compact,delete', ...retention },
    { 'cleanup.policy': 'delete', ...retention },
    { 'cleanup.policy': 'compact,delete', ...retention },
  ])
})

test('records that wait in a slow step hold back what the stores behind it forget', async () => {
  const waiting = new Map<string, () => void>()
  const slow: FunctionEnricher<string, string, string> = {
    kind: 'function',
    value: text,
    call: async ({ value }) => {
      if (value === 'old') await new Promise<void>((answer) => waiting.set(value, answer))
      return value
    },
  }
  const pipeline = topology('held', ({ stream }) => {
    stream('in', SERDES).enrich('slow', slow, { orderBy: 'none' }).processValues(keeps).to('out')
  })
  await using driver = await topologyTestDriver(pipeline)
  const input = driver.input('in', SERDES)
  const output = driver.output('out', SERDES)
  await input.pipe('k', 'old', { timestampMs: 5 })
  await input.pipe('k', 'new', { timestampMs: 500 })
  expect(await output.readKeyValues()).toEqual([['k', 'new new new']])
  waiting.get('old')?.()
  await driver.settle({ clock: 'stands' })
  expect(await output.readKeyValues()).toEqual([['k', 'old old old']])
})
