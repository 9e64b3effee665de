/** `millrace tail`: the records of a topic, for people and for other programs. */
import { MillraceError } from '../model/errors.ts'
import { asOffset, asPartition, type Topic } from '../model/position.ts'
import type { LogRecord } from '../model/record.ts'
import type { Cursor, FetchedBatch, Reader, Transport } from '../transport/transport.ts'
import { defineCommand } from './command.ts'
import { existingTopic } from './existing-topic.ts'
import { logOptions, logPlaceOf } from './log-place.ts'
import { openLog } from './open-log.ts'
import { count, flag, index, oneOf, optional, type ValueKind } from './options.ts'
import type { Json, Output } from './output.ts'
import { KINDS, RecordReader, type Kind } from './readable-record.ts'
import { cut, visible } from './terminal-text.ts'

const PREFETCH_BYTES = 32 * 2 ** 20
/** A record on a terminal is a line, not a page; --json has it whole. */
const LONGEST_LINE = 400

const kindNames = Object.keys(KINDS) as Kind[]
const kinds: ValueKind<Kind> = { ...oneOf(...kindNames), placeholder: 'KIND' }

/** The command. */
export const tailCommand = defineCommand({
  name: 'tail',
  summary: 'shows the records of a topic',
  details:
    'Shows what is committed, up to the end of the topic. Avro is read by the schema it was written\n' +
    'with, and what --key and --value name as that; the rest is shown as text where it is text, and\n' +
    'otherwise as bytes: a line has the first of them in hexadecimal digits. With --json nothing is\n' +
    'cut, bytes are {"base64":…}, and numbers of 64 bits are text, so that no digit is lost.',
  operands: { usage: '<topic>', least: 1, most: 1 },
  options: {
    ...logOptions,
    key: optional(kinds, `what keys are: ${kindNames.join(', ')}`),
    value: optional(kinds, 'what values are, likewise'),
    from: optional(index, 'the first offset; otherwise the oldest'),
    partition: optional(index, 'one partition only'),
    max: optional(count, 'how many records at most'),
    follow: flag('go on at the end and wait for more'),
  },
  examples: [
    { line: 'millrace tail videos.enriched --embedded data', says: 'all of a topic' },
    {
      line: 'millrace tail videos.raw --embedded data --from 40 --max 5',
      says: 'a few from the middle',
    },
    { line: 'millrace tail word-counts --embedded data --value int64', says: 'counts' },
    {
      line: 'millrace tail words --brokers localhost:9092 --follow',
      says: 'what comes into a Kafka cluster',
    },
    {
      line: 'millrace tail videos.enriched --embedded data --json | jq .value',
      says: 'for another program',
    },
  ],
  endless: true,
  run: async ({ operands: [name = ''], options, output, clock, signal }) => {
    await using log = await openLog(logPlaceOf(options), { clock, existing: true, signal })
    const { topic } = await existingTopic(log.transport, name)
    await using reader = log.transport.openReader({
      isolation: 'read_committed',
      prefetchBytes: PREFETCH_BYTES,
    })
    const parts = await openParts(log.transport, reader, { topic, ...options })
    const readable = new RecordReader(topic, {
      registry: log.registry,
      isWhole: output.json,
      kinds: { key: options.key, value: options.value },
    })
    let left = options.max ?? Infinity
    while (left > 0 && (options.follow || parts.some(isBehind))) {
      const batches = parts.flatMap(({ cursor }) => cursor.take() ?? [])
      if (batches.length === 0) await reader.ready(signal)
      for (const batch of batches) left -= await showBatch(batch, { left, output, readable })
      signal.throwIfAborted()
    }
    return undefined
  },
})

/** A partition that is shown, and where its end was when the command began. */
interface Part {
  readonly cursor: Cursor
  readonly end: number
}

function isBehind({ cursor, end }: Part): boolean {
  return cursor.position < end
}

async function openParts(
  { admin }: Transport,
  reader: Reader,
  asked: {
    readonly topic: Topic
    readonly partition: number | undefined
    readonly from: number | undefined
  },
): Promise<readonly Part[]> {
  const { topic, from } = asked
  const [description] = await admin.describeTopics([topic])
  const all = Array.from({ length: description?.partitions ?? 0 }, (_, at) => asPartition(at))
  const chosen = all.filter((at) => asked.partition === undefined || at === asked.partition)
  if (chosen.length === 0) {
    const message = `${topic} has no partition ${asked.partition ?? 0}; it has ${all.length}, counted from 0`
    throw new MillraceError('MILLRACE_UNKNOWN_TOPIC', message, { place: topic })
  }
  const places = chosen.map((partition) => ({ topic, partition }))
  const starts = await admin.offsets(places, 'earliest', 'read_committed')
  const ends = await admin.offsets(places, 'latest', 'read_committed')
  return places.map((place, at) => {
    const end = ends[at] ?? 0
    const offset = asOffset(Math.min(Math.max(starts[at] ?? 0, from ?? 0), end))
    return { cursor: reader.open({ ...place, offset }), end }
  })
}

/** Shows the records of a batch, `left` at most; answers how many it showed. */
async function showBatch(
  batch: FetchedBatch,
  { left, output, readable }: { left: number; output: Output; readable: RecordReader },
): Promise<number> {
  const shown = batch.records.slice(0, left)
  for (const record of shown) {
    await showRecord(batch, record, { output, readable })
    await output.drained()
  }
  batch.release()
  return shown.length
}

async function showRecord(
  { topic, partition }: FetchedBatch,
  record: LogRecord,
  { output, readable }: { output: Output; readable: RecordReader },
): Promise<void> {
  const { offset, timestamp } = record
  const key = await readable.read('key', record.key)
  const value = await readable.read('value', record.value)
  const headers = record.headers.map((header) => ({
    key: header.key,
    value: header.value === null ? null : readable.plain(header.value),
  }))
  const time = timestamp < 0 ? '-' : new Date(timestamp).toISOString()
  const line = `${topic}[${partition}]@${offset}  ${time}  ${oneLine(key)}  ${oneLine(value)}`
  output.result('record', cut(line, LONGEST_LINE), {
    topic,
    partition,
    offset,
    timestamp,
    key,
    value,
    headers,
  })
}

function oneLine(value: Json): string {
  return visible(typeof value === 'string' ? value : JSON.stringify(value))
}
