/**
 * What is stored beside a committed offset, in Kafka Streams' own format so that its tools decode
 * it: base64 of [byte 2, int64 partition time, a map of text to int64] (TopicPartitionMetadata and
 * ProcessorMetadata of Kafka Streams). The map says which mode and which transactional id wrote the
 * offset, so that a start can tell its own traces from a stranger's, and of which topic it is an
 * offset: one that was made anew under the same name holds other records.
 */
import type { OffsetWriter } from './assignment.ts'

const MAGIC = 2
const MODE_KEY = 'millrace.mode='
const ID_KEY = 'millrace.transactional.id='
const TOPIC_KEY = 'millrace.topic.id='

/** What the metadata of one committed offset says. */
export interface OffsetMetadata {
  /** The largest timestamp seen on the partition, milliseconds since 1970; -1 for none. */
  readonly partitionTime: number
  /** Who committed; undefined where another program did. */
  readonly writer: OffsetWriter | undefined
  /** The id of the topic it is an offset of; undefined where that was not said. */
  readonly topicId?: string | undefined
}

/** The text stored beside an offset. */
export function encodeOffsetMetadata({ partitionTime, writer, topicId }: OffsetMetadata): string {
  const names = [
    ...(writer === undefined ? [] : [MODE_KEY + writer.mode, ID_KEY + writer.transactionalId]),
    ...(topicId === undefined ? [] : [TOPIC_KEY + topicId]),
  ]
  const keys = names.map((name) => Buffer.from(name, 'utf8'))
  const out = Buffer.alloc(1 + 8 + 4 + keys.reduce((sum, key) => sum + 4 + key.length + 8, 0))
  out.writeUInt8(MAGIC, 0)
  out.writeBigInt64BE(BigInt(partitionTime), 1)
  let at = out.writeInt32BE(keys.length, 9)
  for (const key of keys) {
    at = out.writeInt32BE(key.length, at)
    at += key.copy(out, at)
    at = out.writeBigInt64BE(1n, at)
  }
  return out.toString('base64')
}

/** Reads the text back. Text of another program is not an error: it says nothing. */
export function decodeOffsetMetadata(text: string): OffsetMetadata {
  const bytes = Buffer.from(text, 'base64')
  if (bytes.length < 9 || bytes.readUInt8(0) > MAGIC)
    return { partitionTime: -1, writer: undefined }
  const names = new Set(readKeys(bytes))
  const mode = find(names, MODE_KEY)
  const transactionalId = find(names, ID_KEY)
  const known = (mode === 'static' || mode === 'group') && transactionalId !== undefined
  return {
    partitionTime: Number(bytes.readBigInt64BE(1)),
    writer: known ? { mode, transactionalId } : undefined,
    topicId: find(names, TOPIC_KEY),
  }
}

function readKeys(bytes: Buffer): string[] {
  const keys: string[] = []
  if (bytes.length < 13) return keys
  const count = bytes.readInt32BE(9)
  for (let at = 13, i = 0; i < count && at + 4 <= bytes.length; i += 1) {
    const length = bytes.readInt32BE(at)
    keys.push(bytes.toString('utf8', at + 4, at + 4 + length))
    at += 4 + length + 8
  }
  return keys
}

function find(names: ReadonlySet<string>, key: string): string | undefined {
  for (const name of names) if (name.startsWith(key)) return name.slice(key.length)
  return undefined
}
