import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { expect, inject, test } from 'vitest'
import type { StreamsApp } from '../../runtime/app.ts'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import type { Topology } from '../../topology/graph.ts'
import { AppStage } from './app-stage.ts'
import { until } from './until.ts'

const brokers = inject('kafkaBrokers')
const PARTITIONS = 2

/** What the stage counts, with one topic more. */
function countingTwo(stage: AppStage): Topology {
  return topology('counting', ({ stream }) => {
    stream(stage.topic('in'), { key: text, value: text })
      .merge(stream(stage.topic('more'), { key: text, value: text }))
      .groupByKey()
      .count({ store: 'counts' })
      .toStream()
      .mapValues(String, { value: text })
      .to(stage.topic('out'))
  })
}

/** State belongs to its topology: each has a folder of its own. */
function start(stage: AppStage, of: Topology, instanceId: string): StreamsApp {
  const topics = of.subtopologies.flatMap(({ sourceTopics }) => sourceTopics)
  const folder = join(stage.folder, `state-${topics.length}`)
  const app = stage.app(of, {
    assignment: { kind: 'group', instanceId },
    state: { kind: 'folder', folder },
  })
  app.start().catch(() => {})
  app.closed.catch(() => {})
  return app
}

async function counted(stage: AppStage): Promise<void> {
  const isCounted = async () => isDeepStrictEqual(await stage.counts(), stage.expectedCounts)
  await until(stage.clock, () => 'all that was fed is counted once', isCounted)
}

test(
  'static members take up another topology once those of the old one are stopped, and not before',
  { timeout: 200_000 },
  async () => {
    await using stage = await AppStage.open(brokers)
    for (const name of ['in', 'more', 'out']) await stage.create(name, PARTITIONS)
    const [a, b] = [start(stage, stage.counting(), 'a'), start(stage, stage.counting(), 'b')]
    await stage.feed(14, PARTITIONS)
    await counted(stage)
    await a.close()
    const refused = start(stage, countingTwo(stage), 'a')
    await expect(refused.closed).rejects.toMatchObject({ code: 'MILLRACE_GROUP_OTHER_TOPOLOGY' })
    await b.close()
    const [newer, other] = [
      start(stage, countingTwo(stage), 'a'),
      start(stage, countingTwo(stage), 'b'),
    ]
    await stage.feed(14, PARTITIONS)
    await counted(stage)
    for (const app of [newer, other]) {
      expect(app.state).toBe('running')
      await app.close()
    }
  },
)
