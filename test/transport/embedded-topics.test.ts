import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { asTopic } from '../../model/position.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import type { EmbeddedLog } from '../../transport/embedded/embedded-log.ts'
import { prepareFolder } from '../../transport/embedded/log-folder.ts'
import { holdLog } from '../../transport/embedded/open-log.ts'

const WORDS = { topic: asTopic('words'), partitions: 1 }
const clock = systemClock()
const root = await mkdtemp(join(tmpdir(), 'millrace-topics-'))
afterAll(() => rm(root, { recursive: true, force: true }))

describe('the topics of an embedded log', () => {
  it('are there for nobody before they would outlive the process', async () => {
    await using log = await opened('made')
    const held = holdWrites(log)
    const first = log.createTopic(WORDS, 'first')
    const again = log.createTopic(WORDS, 'first')
    const second = log.createTopic(WORDS, 'second')
    await held.isReached
    expect(log.topic(WORDS.topic)).toBeUndefined()
    let isAnswered = false
    void again.then(() => (isAnswered = true))
    second.catch(() => (isAnswered = true))
    await clock.yield()
    expect(isAnswered).toBe(false)
    held.letGo()
    await first
    await again
    await expect(second).rejects.toMatchObject({ code: 'MILLRACE_TOPIC_EXISTS' })
    expect(log.topic(WORDS.topic)).toMatchObject({ topicId: 'first' })
  })

  it('that are made while another of their name is deleted outlive the process', async () => {
    {
      await using log = await opened('replaced')
      await log.createTopic(WORDS, 'first')
      await Promise.all([log.deleteTopic(WORDS.topic), log.createTopic(WORDS, 'second')])
      expect(log.topic(WORDS.topic)).toMatchObject({ topicId: 'second' })
    }
    await using log = await opened('replaced')
    expect(log.topic(WORDS.topic)).toMatchObject({ topicId: 'second' })
  })

  it('can be made where making another one failed', async () => {
    await using log = await opened('refused')
    const refused = log.createTopic({ ...WORDS, partitions: 0 })
    const made = log.createTopic(WORDS)
    await expect(refused).rejects.toMatchObject({ code: 'MILLRACE_TOPIC_CONFIG' })
    await made
  })
})

async function opened(name: string): Promise<EmbeddedLog> {
  const log = await holdLog(
    { folder: join(root, name), clock },
    await prepareFolder(join(root, name)),
  )
  if (log === undefined) throw new Error(`${name} is held`)
  return log
}

/** Holds the next writes of the index back. */
function holdWrites({ resources: { index } }: EmbeddedLog) {
  const reached = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  const write = index.write.bind(index)
  index.write = async (...call) => {
    reached.resolve()
    await gate.promise
    await write(...call)
  }
  return { isReached: reached.promise, letGo: () => gate.resolve() }
}
