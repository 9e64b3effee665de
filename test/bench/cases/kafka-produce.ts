/**
 * Producers side by side on one broker: acknowledged by all, idempotent, no compression, batches and
 * linger alike, one topic of one partition for each run.
 */
import type { BenchCase } from '../bench-case.ts'
import {
  amountOf,
  assertMoved,
  clientsCase,
  hereOrWhy,
  producing,
  producingBy,
  type LoadFor,
} from '../kafka/compared.ts'
import { javaTools, producerPerformance } from '../kafka/java-tools.ts'
import {
  deleteTopic,
  loadOf,
  openBench,
  recordsIn,
  SHAPES,
  withTopic,
  type LoadShape,
} from '../kafka/load.ts'
import { produceAll } from '../kafka/ours.ts'
import { FRANZ_GO, KAFKAJS, LIBRDKAFKA } from '../kafka/peers.ts'

function produceCase(shape: LoadShape): BenchCase {
  const loadFor: LoadFor = (place, topic) => loadOf(shape, place, { mode: 'produce', topic })
  return clientsCase('kafka-produce', shape, {
    summary: 'to a Kafka broker, idempotent, acks=all',
    variants: [
      {
        name: 'millrace',
        run: async (place, measure) => {
          await using log = await openBench(loadFor(place, ''))
          const load = loadFor(place, await withTopic(log))
          await measure(async () => {
            const done = await produceAll(log, load)
            assertMoved(done, load)
            return { amount: amountOf(done, load) }
          })
          if ((await recordsIn(log, load.topic)) !== load.records) throw new Error('some are lost')
          await deleteTopic(log, load.topic)
        },
      },
      producing(LIBRDKAFKA, loadFor),
      producing(FRANZ_GO, loadFor),
      producing(KAFKAJS, loadFor),
      producingBy('Java (ProducerPerformance)', loadFor, async (load) => {
        const tools = await hereOrWhy('Java', javaTools)
        return typeof tools === 'string' ? tools : await producerPerformance(load)
      }),
    ],
  })
}

/** One case for each size of values. */
export const kafkaProduce: readonly BenchCase[] = SHAPES.map(produceCase)
