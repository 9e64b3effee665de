/**
 * Records that cannot be processed, kept beside: the source's raw bytes with headers that say what
 * happened and where, under the names of Kafka Streams (KIP-1034), sent in the transaction of the
 * unit that gave them up. Whether there is a topic for them, and one that they may go to, is known
 * before an app starts and told then: at the first bad record, weeks later, nobody is there to read it.
 */
import { MillraceError } from '../model/errors.ts'
import { asPartition, type Topic } from '../model/position.ts'
import type { Header } from '../model/record.ts'
import type { DeadLetter } from '../processors/processor.ts'
import { changelogTopic } from '../state/changelog.ts'
import { hasOwnChangelog, type Topology } from '../topology/graph.ts'
import { TopologyError } from '../topology/problem.ts'
import type { ProducerRecord } from '../transport/transport.ts'
import { legalName } from './application-name.ts'
import type { FailurePolicies } from './failure.ts'

/** Longest text kept of an error's message or stack, in characters. */
const MAX_TEXT = 4096

/** The dead-letter topic of an app. */
export interface DeadLetterTopic {
  readonly topic: Topic
  readonly partitions: number
}

/** What decides where the dead letters of an application go. */
export interface DeadLetterChoice {
  readonly application: string
  readonly deadLetterTopic?: string | undefined
  readonly failures?: Partial<FailurePolicies> | undefined
}

/**
 * Where the dead letters of a topology go, which is the application's (forApplication); undefined
 * where it has no such topic and is known to need none. Throws MILLRACE_NO_DEAD_LETTER_TOPIC where a
 * policy or a step asks for one, MILLRACE_ILLEGAL_NAME, and MILLRACE_TOPOLOGY_INVALID for a topic
 * that the application reads itself.
 */
export function deadLetterTopicOf(topology: Topology, choice: DeadLetterChoice): Topic | undefined {
  const { application, deadLetterTopic, failures = {} } = choice
  if (deadLetterTopic === undefined) {
    refuseToSendNowhere(topology, failures)
    return undefined
  }
  const topic = legalName('deadLetterTopic', deadLetterTopic)
  refuseLoop(topology, application, topic)
  return topic
}

function refuseToSendNowhere({ nodes }: Topology, failures: Partial<FailurePolicies>): void {
  const policy = (['deserialization', 'processing'] as const).find(
    (kind) => failures[kind] === 'dead-letter',
  )
  const step = nodes.find((node) => node.kind === 'processor' && node.spec.deadLetters === true)
  const asking = policy === undefined ? step && `the step ${step.name}` : `failures.${policy}`
  if (asking === undefined) return
  throw new MillraceError(
    'MILLRACE_NO_DEAD_LETTER_TOPIC',
    `${asking} sends records to the dead-letter topic, and the app has none. ` +
      'Start it with deadLetterTopic, or choose another policy.',
    { place: step === undefined ? 'failures' : step.name },
  )
}

/** A letter that cannot be read is a record that cannot be read, for which a letter is written. One in a changelog would come back as state. */
function refuseLoop(topology: Topology, application: string, topic: Topic): void {
  const source = topology.nodes.find(
    (node) => node.kind === 'source' && node.topics.includes(topic),
  )
  const store = topology.stores.find(
    (each) => hasOwnChangelog(each) && changelogTopic(application, each.spec.name) === topic,
  )
  const reader = source === undefined ? store && `the store ${store.spec.name}` : source.name
  if (reader === undefined) return
  const message =
    `it is to take the dead letters, and ${reader} reads it: every record that fails would come round ` +
    'again for ever. Choose another topic for them'
  throw new TopologyError(topology.name, [
    { code: 'MILLRACE_TOPOLOGY_LOOP', place: topic, message },
  ])
}

/** The record to send for a letter. Throws MILLRACE_NO_DEAD_LETTER_TOPIC where the app has none. */
export function deadLetterRecord(
  letter: DeadLetter,
  target: DeadLetterTopic | undefined,
): ProducerRecord {
  if (target === undefined) {
    throw new MillraceError(
      'MILLRACE_NO_DEAD_LETTER_TOPIC',
      `a record should go to the dead-letter topic, but the app has none (${letter.error.message}). ` +
        'Start it with deadLetterTopic, or choose another policy.',
      { cause: letter.error },
    )
  }
  return {
    topic: target.topic,
    partition: asPartition((letter.partition ?? 0) % target.partitions),
    key: letter.key,
    value: letter.value,
    timestamp: letter.timestamp,
    headers: [...letter.headers, ...failureHeaders(letter)],
  }
}

function failureHeaders({ error, topic, partition, offset }: DeadLetter): Header[] {
  const text: Readonly<Record<string, string | undefined>> = {
    '__streams.errors.exception': error.name,
    '__streams.errors.message': error.message,
    '__streams.errors.stacktrace': error.stack,
    '__streams.errors.topic': topic,
    '__streams.errors.partition': partition?.toString(),
    '__streams.errors.offset': offset?.toString(),
  }
  return Object.entries(text).flatMap(([key, value]) =>
    value === undefined ? [] : [{ key, value: Buffer.from(value.slice(0, MAX_TEXT), 'utf8') }],
  )
}
