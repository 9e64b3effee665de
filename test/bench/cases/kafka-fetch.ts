/**
 * Consumers side by side on one broker: one partition from its first record to its last,
 * read_committed, checksums checked (kafkajs checks none), fetches of the same size. All read the same
 * topic, which is filled once; a broker has it in the page cache.
 */
import type { BenchCase, BenchPlace, BenchVariant } from '../bench-case.ts'
import {
  absent,
  amountOf,
  assertMoved,
  clientsCase,
  hereOrWhy,
  installed,
  workOf,
} from '../kafka/compared.ts'
import { consumerPerformance, javaTools } from '../kafka/java-tools.ts'
import {
  describedTopic,
  loadOf,
  openBench,
  recordsIn,
  SHAPES,
  withTopic,
  type Load,
  type LoadShape,
} from '../kafka/load.ts'
import { fetchAll, produceAll } from '../kafka/ours.ts'
import type { PeerRun } from '../kafka/peer-process.ts'
import { FRANZ_GO, KAFKAJS, LIBRDKAFKA, type Peer } from '../kafka/peers.ts'

function loadFor(shape: LoadShape, place: BenchPlace): Load {
  const load = loadOf(shape, place, { mode: 'fetch', topic: '' })
  return { ...load, topic: `bench-fetch-${shape.name}-${load.records}` }
}

/** Fills the topic in a process of its own, where no run before did. */
async function fill(shape: LoadShape, place: BenchPlace): Promise<void> {
  const load = loadFor(shape, place)
  await using log = await openBench(load)
  if (!(await describedTopic(log, load.topic))) {
    await withTopic(log, load.topic)
    await produceAll(log, load)
  }
  const records = await recordsIn(log, load.topic)
  if (records !== load.records) throw new Error(`${load.topic} has ${records} records`)
}

function peerVariant(
  name: string,
  shape: LoadShape,
  fetch: (load: Load, place: BenchPlace) => Promise<PeerRun | string>,
): BenchVariant {
  return {
    name,
    prepare: async (place) => await fill(shape, place),
    run: async (place, measure) =>
      await measure(async () => {
        const load = loadFor(shape, place)
        const done = await fetch(load, place)
        if (typeof done === 'string') return absent(done)
        assertMoved(done, load)
        return workOf(done, load)
      }),
  }
}

function fetchCase(shape: LoadShape): BenchCase {
  const of = (peer: Peer): BenchVariant =>
    peerVariant(peer.name, shape, async (load) => await installed(peer, load))
  return clientsCase('kafka-fetch', shape, {
    summary: 'from a Kafka broker, read_committed',
    variants: [
      {
        name: 'millrace',
        prepare: async (place) => await fill(shape, place),
        run: async (place, measure) => {
          const load = loadFor(shape, place)
          await using log = await openBench(load)
          await measure(async () => {
            const done = await fetchAll(log, load)
            assertMoved(done, load)
            return { amount: amountOf(done, load) }
          })
        },
      },
      of(LIBRDKAFKA),
      of(FRANZ_GO),
      of(KAFKAJS),
      peerVariant('Java (ConsumerPerformance)', shape, async (load, { folder }) => {
        const tools = await hereOrWhy('Java', javaTools)
        return typeof tools === 'string' ? tools : await consumerPerformance(load, folder)
      }),
    ],
  })
}

/** One case for each size of values. */
export const kafkaFetch: readonly BenchCase[] = SHAPES.map(fetchCase)
