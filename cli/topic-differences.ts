/** Where a topic is not as a pipeline needs it, in sentences, with the settings that mend it. */
import type { TopicConfig } from '../transport/transport.ts'
import { LARGEST_RECORD, limitOf } from './create-topics.ts'
import type { PlannedTopic } from './planned-topics.ts'

/** One thing that is not as it should be. */
export interface TopicDifference {
  readonly says: string
  /** What to set, where that mends it. */
  readonly set?: TopicConfig
  /** Partitions to go up to, where that mends it. */
  readonly partitions?: number
}

/** What does not fit; nothing for a topic that is missing. */
export function differencesOf(planned: PlannedTopic, asked?: number): readonly TopicDifference[] {
  const { there, config } = planned
  if (there === undefined) return []
  const settings = Object.entries(config).flatMap(([name, wanted]) => {
    const difference = RULES[name]?.(wanted, there.config[name])
    return difference === undefined
      ? []
      : [{ says: `${name} ${difference}`, set: { [name]: wanted } }]
  })
  return [...partitionDifference(planned, asked), ...settings]
}

/** A sink that takes smaller records than a source: harmless where only references or summaries go there. */
export function narrowSink(
  { role, there }: PlannedTopic,
  topics: readonly PlannedTopic[],
): string | undefined {
  if (role !== 'sink' || there === undefined) return undefined
  const sources = topics.filter((one) => one.role === 'source')
  const widest = sources.toSorted((a, b) => limitOf(asItIs(b)) - limitOf(asItIs(a)))[0]
  if (widest === undefined || limitOf(there) >= limitOf(asItIs(widest))) return undefined
  return `${LARGEST_RECORD} is ${limitOf(there)}, below that of ${widest.topic}: where values go there whole, raise it to ${limitOf(asItIs(widest))}`
}

function asItIs({ there, config }: PlannedTopic): { readonly config: TopicConfig } {
  return there ?? { config }
}

function partitionDifference(
  { role, topic, there, partitions }: PlannedTopic,
  asked: number | undefined,
): readonly TopicDifference[] {
  const has = there?.partitions ?? partitions
  if (role === 'dead letters') return []
  if (role !== 'source' && role !== 'sink') {
    if (has === partitions) return []
    const why =
      'state is bound to the old number: run `millrace reset`, or take another --application'
    return [{ says: `it has ${counted(has)}, and its sources ask for ${partitions}; ${why}` }]
  }
  if (asked === undefined || has === asked) return []
  if (has > asked) {
    return [
      {
        says: `it has ${counted(has)}, not ${asked}; Kafka takes none away, only a new ${topic} has fewer`,
      },
    ]
  }
  return [
    {
      says: `it has ${counted(has)}, not ${asked}; more can be added, but keys then move to others, so do it before there are records`,
      partitions: asked,
    },
  ]
}

/** `1 partition`, `3 partitions`. */
export function counted(partitions: number): string {
  return `${partitions} ${partitions === 1 ? 'partition' : 'partitions'}`
}

/** By setting: what is wrong with `has` where `wanted` is needed; undefined where nothing is. */
const RULES: Readonly<
  Record<string, (wanted: string, has: string | undefined) => string | undefined>
> = {
  'cleanup.policy': (wanted, has = 'delete') =>
    words(has) === words(wanted) ? undefined : `is ${has} and has to be ${wanted}`,
  'message.timestamp.type': (wanted, has = 'CreateTime') =>
    has === wanted ? undefined : `is ${has} and has to be ${wanted}`,
  'retention.ms': (wanted, has = String(DEFAULT_RETENTION_MS)) =>
    lasting(has) >= lasting(wanted) ? undefined : `is ${has} and has to be ${wanted} or more`,
  [LARGEST_RECORD]: (wanted, has = String(DEFAULT_LIMIT_BYTES)) =>
    Number(has) >= Number(wanted) ? undefined : `is ${has} and has to be ${wanted} or more`,
}

/** Kafka's own, where a log does not say them. */
const DEFAULT_RETENTION_MS = 7 * 24 * 3600 * 1000
const DEFAULT_LIMIT_BYTES = 1_048_588

function words(policy: string): string {
  return policy
    .split(',')
    .map((word) => word.trim())
    .toSorted()
    .join()
}

function lasting(retentionMs: string): number {
  return Number(retentionMs) < 0 ? Infinity : Number(retentionMs)
}
