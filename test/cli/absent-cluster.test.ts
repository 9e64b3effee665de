import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../runtime/system-clock.ts'
import { openKafka } from '../../transport/kafka/open.ts'
import { FakeBroker } from '../transport/kafka/fake-broker.ts'
import { folderWith, start, WORDS } from './millrace.ts'

/** Well below what opening a cluster may take, which is 15 seconds, for a machine that is busy. */
const SOON_MS = 5_000

/** A broker that takes connections and says nothing, and when the first one came. */
async function muteBroker() {
  const called = Promise.withResolvers<void>()
  const broker = await FakeBroker.raw(() => called.resolve())
  onTestFinished(() => broker[Symbol.asyncDispose]())
  return { brokers: `127.0.0.1:${broker.address.port}`, called: called.promise }
}

test('opening a cluster that does not answer ends when its signal does', async () => {
  const { brokers, called } = await muteBroker()
  const stop = new AbortController()
  const opening = openKafka({ brokers, clock: systemClock(), signal: stop.signal })
  await called
  stop.abort(new Error('stopped'))
  await expect(opening).rejects.toThrow('stopped')
})

test.each(['run', 'tail'])(
  '%s that waits for its cluster ends soon at SIGTERM',
  async (command) => {
    await using folder = await folderWith({ 'words.ts': WORDS })
    const { brokers, called } = await muteBroker()
    const operand = command === 'run' ? 'words.ts' : 'words'
    const running = start([command, operand, '--brokers', brokers], folder.path)
    onTestFinished(() => void running.child.kill('SIGKILL'))
    await called
    const toldAtMs = systemClock().monotonic()
    running.child.kill('SIGTERM')
    expect(await running.ended).toMatchObject({ code: 0 })
    expect(systemClock().monotonic() - toldAtMs).toBeLessThan(SOON_MS)
  },
)
