/** What millrace would do to topics, as command lines of Kafka's own tools: for those who may do it. */
import type { TopicConfig } from '../transport/transport.ts'
import type { PlannedTopic } from './planned-topics.ts'
import type { TopicDifference } from './topic-differences.ts'

/** How Kafka's tools reach the cluster, and what is made there. */
export interface CommandStyle {
  readonly brokers: string
  /** The .properties file with the credentials, where there is one. */
  readonly propertiesFile: string | undefined
  /** Copies of a new topic; otherwise as many as the brokers have as their default. */
  readonly replication: number | undefined
}

/** The line that makes a topic. */
export function createLine(
  { topic, partitions, config }: PlannedTopic,
  style: CommandStyle,
): string {
  const copies =
    style.replication === undefined ? [] : ['--replication-factor', String(style.replication)]
  const settings = Object.entries(config).flatMap(([name, value]) => [
    '--config',
    `${name}=${value}`,
  ])
  return line('kafka-topics.sh', style, [
    '--create',
    '--topic',
    topic,
    '--partitions',
    String(partitions),
    ...copies,
    ...settings,
  ])
}

/** The line that mends a difference; undefined where none does. */
export function mendLine(
  topic: string,
  { set, partitions }: TopicDifference,
  style: CommandStyle,
): string | undefined {
  if (partitions !== undefined) {
    const arguments_ = ['--alter', '--topic', topic, '--partitions', String(partitions)]
    return line('kafka-topics.sh', style, arguments_)
  }
  return set === undefined ? undefined : alterLine(['topics', '--entity-name', topic], set, style)
}

/** The line that changes a setting of all brokers, of those that they take while they run. */
export function brokersLine(set: TopicConfig, style: CommandStyle): string {
  return alterLine(['brokers', '--entity-default'], set, style)
}

function alterLine(entity: readonly string[], set: TopicConfig, style: CommandStyle): string {
  // The tool takes a comma for the next setting, unless the value stands in brackets.
  const pairs = Object.entries(set).map(([name, value]) =>
    value.includes(',') ? `${name}=[${value}]` : `${name}=${value}`,
  )
  const arguments_ = ['--alter', '--entity-type', ...entity, '--add-config', pairs.join()]
  return line('kafka-configs.sh', style, arguments_)
}

function line(tool: string, style: CommandStyle, words: readonly string[]): string {
  const { brokers, propertiesFile } = style
  const login = propertiesFile === undefined ? [] : ['--command-config', propertiesFile]
  return [tool, '--bootstrap-server', brokers, ...login, ...words].map(quoted).join(' ')
}

/** As a shell takes it for one word. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`
}
