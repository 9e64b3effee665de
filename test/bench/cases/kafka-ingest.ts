/**
 * A video file into a Kafka broker: `ingest` as the command does it (transactions, SHA-256, three
 * checksums, a row of progress), clients that only send the same slices, and the producer of
 * tutorials, which waits for each. The waiting ones get less of the video, or they would take minutes.
 */
import { randomUUID } from 'node:crypto'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { sharedSchemas } from '../../../cli/shared-schemas.ts'
import { asTopic, type Topic } from '../../../model/position.ts'
import { systemClock } from '../../../runtime/system-clock.ts'
import { openKafka } from '../../../transport/kafka/open.ts'
import type { Transport } from '../../../transport/transport.ts'
import { ingest } from '../../../video/ingest.ts'
import type { BenchCase, BenchPlace, BenchVariant } from '../bench-case.ts'
import { writeVideo } from '../generated-video.ts'
import { benchBrokers } from '../kafka/bench-broker.ts'
import { producing, type LoadFor } from '../kafka/compared.ts'
import {
  CHILD_DEADLINE_MS,
  deleteTopic,
  loadOf,
  SHAPES,
  withTopic,
  type LoadShape,
} from '../kafka/load.ts'
import { FRANZ_GO, LIBRDKAFKA, waiting } from '../kafka/peers.ts'
import { prepareVideo, videoPath } from './plain-copy.ts'

const DEFAULT_CHECKSUM_BYTES = 32 * 2 ** 20
const NATIVE_CHECKSUM_BYTES = 128 * 2 ** 20

function ingestVariant({ valueBytes: chunkBytes }: LoadShape): BenchVariant {
  return {
    name: 'millrace ingest',
    prepare: prepareVideo,
    run: async (place, measure) => {
      const clock = systemClock()
      const [rawTopic, videosTopic] = [
        asTopic(`raw-${randomUUID()}`),
        asTopic(`table-${randomUUID()}`),
      ]
      await using transport = await openKafka({ brokers: benchBrokers(), clock })
      await readyCluster(transport, rawTopic, videosTopic)
      const registry = sharedSchemas(join(place.folder, 'schemas.json'), clock)
      const path = videoPath(place)
      await measure(async () => {
        const options = { transport, registry, clock, path, chunkBytes, rawTopic, videosTopic }
        const { video } = await ingest(options)
        if (Number(video.streamBytes) !== statSync(path).size) throw new Error('some is missing')
        return { amount: statSync(path).size }
      })
      await deleteTopic(transport, rawTopic)
      await deleteTopic(transport, videosTopic)
    },
  }
}

/** Topics are there beforehand, as for the others, and so is the brokers' own topic of transactions. */
async function readyCluster(log: Transport, rawTopic: Topic, videosTopic: Topic): Promise<void> {
  await withTopic(log, rawTopic)
  const config = { 'cleanup.policy': 'compact' }
  await log.admin.createTopics([{ topic: videosTopic, partitions: 1, config }])
  await using producer = log.openProducer({ transactionalId: 'bench-warm' })
  await producer.init()
}

function slicesFor(shape: LoadShape): LoadFor {
  return (place, topic) => {
    const file = videoPath(place)
    const records = Math.ceil(statSync(file).size / shape.valueBytes)
    return { ...loadOf(shape, place, { mode: 'produce', topic, file }), records }
  }
}

function slicesBy(variant: BenchVariant, bytes?: number): BenchVariant {
  const prepare = async (place: BenchPlace): Promise<void> => {
    await writeVideo(videoPath(place), Math.min(bytes ?? place.sizeBytes, place.sizeBytes))
  }
  return { ...variant, prepare }
}

function ingestCase(shape: LoadShape): BenchCase {
  const loadFor = slicesFor(shape)
  return {
    name: `kafka-ingest-${shape.name}`,
    summary: `a generated mp4 into a Kafka broker in slices of ${shape.name}: ingest, and bare producers`,
    unit: 'bytes',
    compares: true,
    comparedWith: 'ours',
    needsBroker: true,
    childDeadlineMs: CHILD_DEADLINE_MS,
    variants: [
      ingestVariant(shape),
      slicesBy(producing(LIBRDKAFKA, loadFor)),
      slicesBy(producing(FRANZ_GO, loadFor)),
      slicesBy(producing(waiting(false), loadFor), DEFAULT_CHECKSUM_BYTES),
      slicesBy(producing(waiting(true), loadFor), NATIVE_CHECKSUM_BYTES),
    ],
  }
}

/** One case for each size of slices. */
export const kafkaIngest: readonly BenchCase[] = SHAPES.filter(
  ({ valueBytes }) => valueBytes > 2 ** 20,
).map(ingestCase)
