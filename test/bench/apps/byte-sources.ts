/** The topics that the comparison reads: texts for keys, bytes for values. The first key that is read is told. */
import { bytes, text, type OpenSerde, type Serde, type TopologyBuilder } from 'millrace'

/** How a topic is read; calls `onFirst` at each partition's first record. */
export function reading(onFirst: () => void): {
  readonly key: Serde<string>
  readonly value: Serde<Buffer>
} {
  return { key: marked(text, onFirst), value: bytes }
}

/** A topic as a stream. */
// What it is a stream of, `millrace` has a name for that is its own: this is the way to say it.
export const byteStream = ({ stream }: TopologyBuilder, topic: string, onFirst: () => void) =>
  stream(topic, reading(onFirst))

/** What `byteStream` answers. */
export type ByteStream = ReturnType<typeof byteStream>

/** `serde`, which calls `onFirst` once for each of its opened halves. */
function marked<T>(serde: Serde<T>, onFirst: () => void): Serde<T> {
  return {
    name: serde.name,
    open: async (context) => new OpenMarked(await serde.open(context), onFirst),
  }
}

class OpenMarked<T> implements OpenSerde<T> {
  readonly prefix: Buffer
  readonly #serde: OpenSerde<T>
  readonly #onFirst: () => void
  #isFirst = true

  constructor(serde: OpenSerde<T>, onFirst: () => void) {
    this.#serde = serde
    this.#onFirst = onFirst
    this.prefix = serde.prefix
  }

  serialize(value: T): Buffer {
    return this.#serde.serialize(value)
  }

  deserialize(buffer: Buffer, start: number, end: number): T {
    if (this.#isFirst) {
      this.#isFirst = false
      this.#onFirst()
    }
    return this.#serde.deserialize(buffer, start, end)
  }
}
