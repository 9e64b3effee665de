/**
 * Where a record lies: a topic, one of its partitions, an offset in that partition.
 *
 * The three are brands, so that a partition cannot be passed where an offset is meant. They are made
 * here and nowhere else. Offsets are numbers: the bound is 2^53 - 1, which a partition written at a
 * million records a second reaches after 285 years; an adapter that reads a larger one from the wire
 * must fail (docs/decisions/offsets-are-numbers.md).
 */
declare const brand: unique symbol

/** The name of a topic: 1 to 249 of the characters a-z A-Z 0-9 . _ - */
export type Topic = string & { readonly [brand]: 'Topic' }
/** The number of a partition, from 0. */
export type Partition = number & { readonly [brand]: 'Partition' }
/** The position of a record in its partition, from 0, at most 2^53 - 1. */
export type Offset = number & { readonly [brand]: 'Offset' }

/** One partition of one topic. */
export interface TopicPartition {
  readonly topic: Topic
  readonly partition: Partition
}

/** One place in a partition. */
export interface PartitionOffset extends TopicPartition {
  readonly offset: Offset
}

const LEGAL_TOPIC = /^[a-zA-Z0-9._-]{1,249}$/

/** Whether Kafka would accept `name` as the name of a topic. */
export function isTopicName(name: string): name is Topic {
  return LEGAL_TOPIC.test(name) && name !== '.' && name !== '..'
}

/** `name` as a topic. Asserts that Kafka accepts it: names typed by users are checked by `isTopicName` first. */
export function asTopic(name: string): Topic {
  if (!isTopicName(name)) throw new TypeError(`not a legal topic name: ${JSON.stringify(name)}`)
  return name
}

/** `n` as a partition number. Asserts a whole number from 0. */
export function asPartition(n: number): Partition {
  if (!Number.isSafeInteger(n) || n < 0) throw new TypeError(`not a partition number: ${n}`)
  return n as Partition
}

/** `n` as an offset. Asserts a whole number from 0 to 2^53 - 1. */
export function asOffset(n: number): Offset {
  if (!Number.isSafeInteger(n) || n < 0) throw new TypeError(`not an offset: ${n}`)
  return n as Offset
}

/** `topic[partition]`, the way every message and log line of millrace writes it. */
export function describePartition({
  topic,
  partition,
}: {
  readonly topic: string
  readonly partition: number
}): string {
  return `${topic}[${partition}]`
}

/** `topic[partition]@offset`, the way every message and log line of millrace writes it. */
export function describePosition({ topic, partition, offset }: PartitionOffset): string {
  return `${topic}[${partition}]@${offset}`
}
