/**
 * Processes that are taken for dead, on a real broker, in the middle of a transaction that only its
 * timeout, of five minutes, would end: halted for longer than their session and woken again, or gone
 * for good. Their heirs do not wait for it, and what the woken one still does is rejected.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, inject, test, vi } from 'vitest'
import { openLog } from '../../cli/open-log.ts'
import { asPartition, asTopic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { folderWith, start, WORDS } from '../cli/millrace.ts'
import { countsOf, expectedOutputs, RecoveryStage } from './recovery-stage.ts'
import { until } from './until.ts'
import { LIMITS, SOON_MS, startBoth, testHaltedOwner } from './zombie-cases.ts'

const brokers = inject('kafkaBrokers')
const clock = systemClock()
// Each starts several processes, one after the other.
vi.setConfig({ testTimeout: 240_000 })

testHaltedOwner(() => brokers)

test('the transaction of a member that is gone does not hold up its heir', async () => {
  await using stage = await RecoveryStage.open(brokers, 'pairs')
  const { owner, heir } = await startBoth(stage, {
    limits: { ...LIMITS, commitIntervalMs: 1_000 },
    killAt: { step: 'sendOffsets', offset: 1 },
  })
  const before = heir.events.length
  await stage.feed(100)
  expect(await owner.ended(), owner.story).toBe('SIGKILL')
  const goneMs = clock.monotonic()
  expect(await stage.isOpen('paired')).toBe(true)
  await heir.runsTasks(before)
  await stage.untilCommitted(100)
  expect(clock.monotonic() - goneMs).toBeLessThan(SOON_MS)
  expect(await heir.counts()).toEqual(countsOf(100))
  expect(await heir.stop(), heir.story).toBe(0)
  expect(await stage.outputs()).toEqual(expectedOutputs('pairs', 100))
})

test('a process whose loop is blocked says so in its log while it still has its place, and keeps it', async () => {
  await using stage = await RecoveryStage.open(brokers, 'pairs')
  // It speaks after a third of its session. The rest is what a busy machine may take for this test.
  const limits = { ...LIMITS, sessionTimeoutMs: 15_000 }
  const owner = stage.start({ limits, assignment: { kind: 'group' } })
  await owner.runsTasks()
  const goOn = join(stage.folder, 'go-on')
  owner.block(goOn)
  await owner.complains(
    new RegExp(`^millrace: This process stands still.*group ${stage.application}.*15000 ms`, 'm'),
  )
  const blocked = owner.events.length
  expect(await stage.log.admin.describeGroup(stage.application)).toHaveLength(1)
  await writeFile(goOn, '')
  await owner.says('it goes on', ({ kind }) => kind === 'unblocked', blocked)
  await stage.feed(100)
  await stage.untilCommitted(100)
  expect(owner.told('restarting', blocked), owner.story).toEqual([])
  expect(await owner.stop(), owner.story).toBe(0)
})

test.for([
  { share: ['--partition', '0'], code: 'MILLRACE_PRODUCER_FENCED' },
  { share: ['--group', '--instance', 'a'], code: 'MILLRACE_GROUP_INSTANCE_FENCED' },
])(
  'a halted process that was replaced under the same $share.0 ends when it wakes, with an exit code of its own',
  async ({ share, code }) => {
    const name = `zombie-${clock.uuid().slice(0, 8)}`
    const pipeline = WORDS.replaceAll(/'words'/g, `'${name}'`).replace('word-counts', `${name}-out`)
    await using folder = await folderWith({ 'words.ts': pipeline })
    const place = { kind: 'kafka', brokers: brokers.join(), propertiesFile: undefined } as const
    const schemas = { kind: 'file', path: join(folder.path, 'schemas.jsonl') } as const
    await using opened = await openLog({ ...place, environment: {}, schemas }, { clock })
    const { admin } = opened.transport
    const topics = [name, `${name}-out`].map(asTopic)
    await admin.createTopics(topics.map((topic) => ({ topic, partitions: 1 })))
    await using producer = opened.transport.openProducer({})
    await producer.init()
    const send = async (word: string): Promise<void> => {
      const bytes = Buffer.from(word)
      const at = { topic: asTopic(name), partition: asPartition(0), timestamp: clock.now() }
      producer.send({ ...at, key: bytes, value: bytes, headers: NO_HEADERS })
      await producer.flush()
    }
    /** Each count is committed by itself: a record and a marker. */
    const untilCounted = async (words: number): Promise<void> => {
      const out = [{ topic: asTopic(`${name}-out`), partition: asPartition(0) }]
      await until(
        clock,
        () => `${words} words are counted`,
        async () => {
          const [end = 0] = await admin.offsets(out, 'latest', 'read_committed')
          return end === 2 * words
        },
      )
    }

    const run = ['run', 'words.ts', '--brokers', brokers.join(), '--schemas', 'schemas.jsonl']
    const first = start([...run, ...share, '--state', 'first'], folder.path)
    await first.says(/the app is running/)
    await send('a')
    await untilCounted(1)
    first.child.kill('SIGSTOP')
    const second = start([...run, ...share, '--state', 'second'], folder.path)
    try {
      await second.says(/the app is running/)
      await send('a')
      await untilCounted(2)
      first.child.kill('SIGCONT')
      const ended = await first.ended
      expect(ended, ended.stderr).toMatchObject({ code: 4 })
      expect(ended.stderr).toContain(code)
      await send('a')
      await untilCounted(3)
    } finally {
      first.child.kill('SIGKILL')
      second.child.kill('SIGTERM')
    }
    expect(await second.ended).toMatchObject({ code: 0 })
  },
)
