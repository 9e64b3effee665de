/** What the killed writer of a log that is cleaned, and the test that kills it, agree on. */
import { asPartition, asTopic, type TopicPartition } from '../../model/position.ts'
import { SeededRandom } from '../../testing/seeded-random.ts'
import type { EmbeddedLogOptions } from '../../transport/embedded/limits.ts'
import type { NewTopic } from '../../transport/transport.ts'

/** Compacted: the last record of each key. */
export const TABLE: TopicPartition = { topic: asTopic('table'), partition: asPartition(0) }
/** Kept by size, and deleted from: one record for each transaction. */
export const HISTORY: TopicPartition = { topic: asTopic('history'), partition: asPartition(0) }
export const GROUP = 'cleaning-writer'

export const TOPICS: readonly NewTopic[] = [
  {
    topic: TABLE.topic,
    partitions: 1,
    config: {
      'cleanup.policy': 'compact',
      'segment.bytes': '3000',
      'min.cleanable.dirty.ratio': '0.2',
      'delete.retention.ms': '50',
    },
  },
  {
    topic: HISTORY.topic,
    partitions: 1,
    config: { 'segment.bytes': '1500', 'retention.bytes': '6000' },
  },
]

/** A cleaner that never rests and does little at a time, so that a kill finds it anywhere. */
export const RESTLESS: Partial<EmbeddedLogOptions> = {
  cleanIntervalMs: 1,
  cleanRunBytes: 2_000,
  cleanKeyBytes: 1,
  openFiles: 2,
}

/** What transaction `number` writes to the table: a key and its value, null to delete it. */
export function writesOf(
  seed: number,
  number: number,
): readonly (readonly [string, string | null])[] {
  const random = new SeededRandom(seed * 1_000_003 + number)
  return Array.from({ length: 1 + random.below(8) }, () => {
    const key = `k${random.below(120)}`
    const padding = 'x'.repeat(Math.floor(random.next() ** 10 * 4_000))
    return [key, random.chance(0.25) ? null : `${number}${padding}`] as const
  })
}
