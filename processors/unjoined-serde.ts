/**
 * How records that wait for a partner lie in the store that both sides of a join share, and so in
 * its changelog. Source of the format: TimestampedKeyAndJoinSideSerializer, LeftOrRightValueSerializer
 * and ListSerializer of Kafka Streams 4.1.
 *
 *   key:    int64 timestamp ‖ byte 1 (left) or 0 (right) ‖ key
 *   values: byte 1 ‖ int32 how many ‖ (int32 length ‖ byte 1 or 0 ‖ value) each
 *
 * So keys sort by time, and at one time the right side comes first. Kafka Streams forgets with the
 * process how far the time of a join has come. Here a row of our own keeps it, where no other row
 * tells: its key ends with a byte 2, and its list is empty, which Kafka Streams passes over.
 */
import { SerdeError } from '../serdes/errors.ts'
import type { OpenSerde, Serde } from '../serdes/serde.ts'

/** A place where records wait: those of one side with the same timestamp and key wait together. */
export interface UnjoinedKey<K> {
  readonly timestamp: number
  readonly isLeft: boolean
  readonly key: K
  /** As the store has it, if it comes from there: a key's serde may have got another prefix since. */
  readonly bytes?: Buffer
}

/** A row that says how far time has come. */
export interface TimeMark {
  readonly timestamp: number
  readonly isMark: true
}

/** The values that wait at one place, in the order they came. */
export type UnjoinedValues<L, R> =
  | { readonly isLeft: true; readonly values: readonly L[] }
  | { readonly isLeft: false; readonly values: readonly R[] }

const NO_PREFIX = Buffer.alloc(0)
const [RIGHT, LEFT, MARK] = [0, 1, 2] as const
/** Bytes of a key before the record's own: all of a mark. */
const PLACE_BYTES = 9
/** The mark of a list whose values have lengths of their own. */
const VARIABLE_SIZES = 1
/** Bytes of a list before its values. */
const LIST_HEAD_BYTES = 5
/** Bytes of a value before its own: length and side. */
const VALUE_HEAD_BYTES = 5

/** The serde of the places of records with these keys, and of marks. */
export function unjoinedKey<K>(serde: Serde<K>): Serde<UnjoinedKey<K> | TimeMark> {
  return {
    name: `unjoinedKey(${serde.name})`,
    open: async (context) => {
      const keys = await serde.open(context)
      return {
        serialize: (place) =>
          'isMark' in place ? writeMark(place) : (place.bytes ?? writeKey(place, keys)),
        deserialize: (buffer, start, end) => readKey(buffer.subarray(start, end), keys),
        prefix: NO_PREFIX,
      }
    },
  }
}

/** The serde of what waits there. A side whose records never wait needs no serde. */
export function unjoinedValues<L, R>(sides: {
  readonly left: Serde<L>
  readonly right: Serde<R> | undefined
}): Serde<UnjoinedValues<L, R>> {
  const { left, right } = sides
  return {
    name: `unjoinedValues(${left.name}${right === undefined ? '' : `, ${right.name}`})`,
    open: async (context) => {
      // Two kinds of values in one topic: a registry knows them as two subjects.
      const { topic } = context
      const lefts = await left.open({ ...context, topic: `${topic}-left` })
      const rights = await right?.open({ ...context, topic: `${topic}-right` })
      return {
        serialize: (waiting) =>
          waiting.isLeft
            ? writeValues(waiting.values, LEFT, lefts)
            : writeValues(waiting.values, RIGHT, known(rights)),
        deserialize: (buffer, start, end) => {
          const bytes = buffer.subarray(start, end)
          return sideOf(bytes) === LEFT
            ? { isLeft: true, values: readValues(bytes, lefts) }
            : { isLeft: false, values: readValues(bytes, known(rights)) }
        },
        prefix: NO_PREFIX,
      }
    },
  }
}

function writeMark({ timestamp }: TimeMark): Buffer {
  const buffer = Buffer.allocUnsafe(PLACE_BYTES)
  buffer.writeBigInt64BE(BigInt(timestamp), 0)
  buffer.writeUInt8(MARK, 8)
  return buffer
}

function writeKey<K>({ timestamp, isLeft, key }: UnjoinedKey<K>, keys: OpenSerde<K>): Buffer {
  const body = keys.serialize(key)
  const buffer = Buffer.allocUnsafe(PLACE_BYTES + body.length)
  buffer.writeBigInt64BE(BigInt(timestamp), 0)
  buffer.writeUInt8(isLeft ? LEFT : RIGHT, 8)
  body.copy(buffer, PLACE_BYTES)
  return buffer
}

function readKey<K>(bytes: Buffer, keys: OpenSerde<K>): UnjoinedKey<K> | TimeMark {
  if (bytes.length < PLACE_BYTES) throw damaged(`a key of ${bytes.length} bytes`)
  const timestamp = Number(bytes.readBigInt64BE(0))
  const side = bytes.readUInt8(8)
  if (side === MARK) return { timestamp, isMark: true }
  return {
    timestamp,
    isLeft: side === LEFT,
    key: keys.deserialize(bytes, PLACE_BYTES, bytes.length),
    // A copy: the caller's buffer may be used again.
    bytes: Buffer.from(bytes),
  }
}

function writeValues<V>(values: readonly V[], side: number, serde: OpenSerde<V>): Buffer {
  const head = Buffer.allocUnsafe(LIST_HEAD_BYTES)
  head.writeUInt8(VARIABLE_SIZES, 0)
  head.writeInt32BE(values.length, 1)
  const parts: Buffer[] = [head]
  for (const value of values) {
    const body = serde.serialize(value)
    const valueHead = Buffer.allocUnsafe(VALUE_HEAD_BYTES)
    valueHead.writeInt32BE(body.length + 1, 0)
    valueHead.writeUInt8(side, 4)
    parts.push(valueHead, body)
  }
  return Buffer.concat(parts)
}

/** The side of a list's first value, which is that of all; an empty list has none. */
function sideOf(bytes: Buffer): number {
  if (bytes.length < LIST_HEAD_BYTES || bytes.readUInt8(0) !== VARIABLE_SIZES) {
    throw damaged(`values of ${bytes.length} bytes`)
  }
  if (bytes.readInt32BE(1) === 0) return LEFT
  if (bytes.length < LIST_HEAD_BYTES + VALUE_HEAD_BYTES) throw damaged('a list that ends early')
  return bytes.readUInt8(LIST_HEAD_BYTES + 4)
}

function readValues<V>(bytes: Buffer, serde: OpenSerde<V>): readonly V[] {
  const values: V[] = []
  const count = bytes.readInt32BE(1)
  for (let at = LIST_HEAD_BYTES; values.length < count;) {
    const start = at + VALUE_HEAD_BYTES
    at = start > bytes.length ? NaN : at + 4 + bytes.readInt32BE(at)
    if (!(at >= start && at <= bytes.length)) throw damaged('a list that ends inside a value')
    values.push(serde.deserialize(bytes, start, at))
  }
  return values
}

function known<V>(serde: OpenSerde<V> | undefined): OpenSerde<V> {
  if (serde === undefined) throw damaged('a value of the side that never waits')
  return serde
}

function damaged(found: string): SerdeError {
  return new SerdeError(
    'MILLRACE_DESERIALIZATION',
    `the store of unjoined records cannot have ${found}: something else wrote to its changelog`,
  )
}
