/**
 * A change on its way through a repartition topic. Source of the format: ChangedSerializer of Kafka
 * Streams since 3.5: the value and a last byte that says which it is, the old one (0), the new one
 * (1), or both (2), where the new one stands first with its length before it. A length is a zig-zag
 * varint of 32 bits.
 */
import { SerdeError } from '../serdes/errors.ts'
import type { OpenSerde, Serde } from '../serdes/serde.ts'
import { MAX_VARINT_BYTES, VarintReader, writeVarint } from '../transport/varint.ts'
import type { Change } from './change.ts'

const [OLD, NEW, BOTH] = [0, 1, 2] as const

const NO_PREFIX = Buffer.alloc(0)

/** The serde of changes of values that `inner` writes. A change of nothing into nothing has no form. */
export function changeSerde<V>(inner: Serde<V>): Serde<Change<V>> {
  return {
    name: `change(${inner.name})`,
    open: async (context) => {
      const values = await inner.open(context)
      return {
        serialize: (change) => serialize(change, values),
        deserialize: (buffer, start, end) => deserialize(values, { buffer, start, end }),
        prefix: NO_PREFIX,
      }
    },
  }
}

function serialize<V>({ newValue, oldValue }: Change<V>, values: OpenSerde<V>): Buffer {
  if (newValue === null) {
    if (oldValue === null) throw new TypeError('a change of nothing into nothing was forwarded')
    return Buffer.concat([values.serialize(oldValue), Buffer.of(OLD)])
  }
  const fresh = values.serialize(newValue)
  if (oldValue === null) return Buffer.concat([fresh, Buffer.of(NEW)])
  const length = Buffer.allocUnsafe(MAX_VARINT_BYTES)
  const lengthBytes = length.subarray(0, writeVarint(length, 0, fresh.length))
  return Buffer.concat([lengthBytes, fresh, values.serialize(oldValue), Buffer.of(BOTH)])
}

function deserialize<V>(
  values: OpenSerde<V>,
  { buffer, start, end }: { readonly buffer: Buffer; readonly start: number; readonly end: number },
): Change<V> {
  const last = end - 1
  switch (last < start ? undefined : buffer[last]) {
    case OLD:
      return { newValue: null, oldValue: values.deserialize(buffer, start, last) }
    case NEW:
      return { newValue: values.deserialize(buffer, start, last), oldValue: null }
    case BOTH: {
      const varint = new VarintReader(buffer, start)
      const length = varint.next()
      const middle = varint.at + length
      if (length < 0 || middle > last) throw noChange(`a length of ${length}`)
      return {
        newValue: values.deserialize(buffer, varint.at, middle),
        oldValue: values.deserialize(buffer, middle, last),
      }
    }
    case undefined:
      throw noChange('no byte')
    default:
      throw noChange(`the last byte ${buffer[last]}`)
  }
}

function noChange(found: string): SerdeError {
  return new SerdeError(
    'MILLRACE_DESERIALIZATION',
    `a change of a table row cannot have ${found}: something else wrote to the repartition topic`,
  )
}
