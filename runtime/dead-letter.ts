/**
 * Records that cannot be processed, kept beside: the source's raw bytes with headers that say what
 * happened and where, under the names of Kafka Streams (KIP-1034), sent in the transaction of the
 * unit that gave them up.
 */
import { MillraceError } from '../model/errors.ts'
import { asPartition, type Topic } from '../model/position.ts'
import type { Header } from '../model/record.ts'
import type { DeadLetter } from '../processors/processor.ts'
import type { ProducerRecord } from '../transport/transport.ts'

/** Longest text kept of an error's message or stack, in characters. */
const MAX_TEXT = 4096

/** The dead-letter topic of an app. */
export interface DeadLetterTopic {
  readonly topic: Topic
  readonly partitions: number
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
