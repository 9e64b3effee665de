/**
 * What a topic's configuration says about keeping its records, by Kafka's names and with Kafka's
 * defaults. What is written here is checked when a topic is created; a value that an earlier version
 * let pass counts as the default, because a log must open.
 */
import type { TopicConfig } from '../transport.ts'

/** How long, and how much of, a topic is kept. */
export interface TopicPolicy {
  /** Old segments are removed whole. */
  readonly deletes: boolean
  /** Of each key the last record is kept. */
  readonly compacts: boolean
  /** Infinity: for ever. */
  readonly retentionMs: number
  /** Per partition. Infinity: without end. */
  readonly retentionBytes: number
  /** Bytes after which a partition goes on in a new segment. */
  readonly segmentBytes: number
  /** Milliseconds after which it does. */
  readonly segmentMs: number
  /** How long a tombstone stays after everything before it was compacted. */
  readonly tombstoneMs: number
  /** Records younger than this are not compacted. */
  readonly minCompactionLagMs: number
  /** Part of a partition's bytes that must be new before it is compacted. */
  readonly minDirtyRatio: number
}

interface Setting {
  readonly fallback: string
  readonly allowed: RegExp
  readonly what: string
}

const MILLISECONDS = { allowed: /^[0-9]{1,15}$/, what: 'a whole number of milliseconds' } as const
const SETTINGS = {
  'cleanup.policy': {
    fallback: 'delete',
    allowed: /^(delete|compact|compact, ?delete|delete, ?compact)$/,
    what: 'delete, compact, or both with a comma between them',
  },
  'retention.ms': {
    fallback: '604800000',
    allowed: /^(-1|[0-9]{1,15})$/,
    what: 'a whole number of milliseconds, or -1 for no end',
  },
  'retention.bytes': {
    fallback: '-1',
    allowed: /^(-1|[0-9]{1,15})$/,
    what: 'a whole number of bytes, or -1 for no end',
  },
  'segment.bytes': {
    fallback: '',
    allowed: /^[1-9][0-9]{0,14}$/,
    what: 'a whole number of bytes from 1 on',
  },
  'segment.ms': {
    fallback: '604800000',
    allowed: /^[1-9][0-9]{0,14}$/,
    what: 'a whole number of milliseconds from 1 on',
  },
  'delete.retention.ms': { fallback: '86400000', ...MILLISECONDS },
  'min.compaction.lag.ms': { fallback: '0', ...MILLISECONDS },
  'min.cleanable.dirty.ratio': {
    fallback: '0.5',
    allowed: /^(0|1|[01]?\.[0-9]{1,6})$/,
    what: 'a number from 0 to 1',
  },
} as const satisfies Readonly<Record<string, Setting>>

type SettingName = keyof typeof SETTINGS

/** The policy of a topic; `segmentBytes` is the log's own, for topics that name none. */
export function topicPolicy(
  config: TopicConfig,
  { segmentBytes }: { readonly segmentBytes: number },
): TopicPolicy {
  const number = (name: SettingName): number => Number(settingOf(config, name))
  const endless = (name: SettingName): number => (number(name) < 0 ? Infinity : number(name))
  const cleanup = settingOf(config, 'cleanup.policy')
  return {
    deletes: cleanup.includes('delete'),
    compacts: cleanup.includes('compact'),
    retentionMs: endless('retention.ms'),
    retentionBytes: endless('retention.bytes'),
    segmentBytes: number('segment.bytes') || segmentBytes,
    segmentMs: number('segment.ms'),
    tombstoneMs: number('delete.retention.ms'),
    minCompactionLagMs: number('min.compaction.lag.ms'),
    minDirtyRatio: Math.min(1, number('min.cleanable.dirty.ratio')),
  }
}

/** The configuration with what counts where it names nothing, as Kafka describes topics. */
export function effectiveConfig(config: TopicConfig, policy: TopicPolicy): TopicConfig {
  const effective: Record<string, string> = { ...config }
  for (const name of settingNames()) effective[name] = settingOf(config, name)
  return { ...effective, 'segment.bytes': String(policy.segmentBytes) }
}

/** What a configuration lacks to be understood, as the end of "it needs …"; undefined where it is fine. */
export function configProblem(config: TopicConfig): string | undefined {
  for (const name of settingNames()) {
    const value = config[name]
    const { allowed, what }: Setting = SETTINGS[name]
    if (value !== undefined && !allowed.test(value)) {
      return `a ${name} that is ${what}, not ${JSON.stringify(value)}`
    }
  }
  return undefined
}

function settingOf(config: TopicConfig, name: SettingName): string {
  const { fallback, allowed }: Setting = SETTINGS[name]
  const value = config[name] ?? fallback
  return allowed.test(value) ? value : fallback
}

function settingNames(): readonly SettingName[] {
  return Object.keys(SETTINGS) as SettingName[]
}
