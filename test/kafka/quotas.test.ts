/** An app that its brokers throttle, for it reads and writes more than its quota. */
import { afterEach, beforeEach, expect, inject, test } from 'vitest'
import { systemClock } from '../../runtime/system-clock.ts'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import { AppStage } from './app-stage.ts'
import { kafkaTool } from './tools.ts'

const clock = systemClock()
const brokers = inject('kafkaBrokers')
/** Brokers let two seconds' worth pass at once (broker-properties.ts), and the rest at this pace. */
const BYTES_PER_SECOND = 100_000
const AT_LEAST_MS = 1_500
const VALUES = Array.from({ length: 50 }, (_, n) => ({
  key: `k${n % 3}`,
  value: `${n} `.padEnd(10_000, 'x'),
}))
const DEADLINE_MS = 50_000
let clientId: string
let stage: AppStage

beforeEach(async () => {
  clientId = `throttled-${clock.uuid()}`
  stage = await AppStage.open(brokers, { clientId })
  await stage.create('in')
  await stage.create('out')
  const rates = ['producer_byte_rate', 'consumer_byte_rate'].map(
    (of) => `${of}=${BYTES_PER_SECOND}`,
  )
  const whose = ['--entity-type', 'clients', '--entity-name', clientId]
  const alter = ['--bootstrap-server', brokers.join(), '--alter', '--add-config', rates.join()]
  await kafkaTool('kafka.admin.ConfigCommand', ...alter, ...whose)
})

afterEach(() => stage[Symbol.asyncDispose]())

test('an app over its quota is slower, loses nothing, and never begins anew', async () => {
  const pipeline = topology('throttled', ({ stream: from }) => {
    const values = from(stage.topic('in'), { key: text, value: text })
    values.groupByKey().count({ store: 'counts' })
    values.to(stage.topic('out'))
  })
  const app = stage.app(pipeline)
  await app.start()
  // In batches, for one that is larger than all of the quota passes never, whoever reads it.
  for (let n = 0; n < VALUES.length; n += 5) await stage.send('in', VALUES.slice(n, n + 5))
  const began = clock.monotonic()
  await app.caughtUp(AbortSignal.timeout(DEADLINE_MS))
  expect(clock.monotonic() - began).toBeGreaterThan(AT_LEAST_MS)
  expect(await stage.read('out')).toEqual(VALUES)
  expect(stage.events.filter(({ kind }) => kind === 'rewound' || kind === 'restarting')).toEqual([])
  expect(app.state).toBe('running')
})
