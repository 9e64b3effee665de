/** Reading a value where one may wait for its schema: outside the record loop. */
import { SchemaPending, type OpenSerde } from '../serdes/serde.ts'

/** Reads a value, fetching its schema first where it is not here yet. */
export async function deserializeNow<T>(serde: OpenSerde<T>, bytes: Buffer): Promise<T> {
  for (;;) {
    try {
      return serde.deserialize(bytes, 0, bytes.length)
    } catch (error) {
      if (!(error instanceof SchemaPending)) throw error
      await error.load()
    }
  }
}
