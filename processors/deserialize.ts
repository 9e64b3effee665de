/** Reading a value where one may wait for its schema: outside the record loop. */
import { SchemaPending, type OpenSerde } from '../serdes/serde.ts'

/** Reads a value, fetching its schema first where it is not here yet. */
export async function deserializeNow<T>(serde: OpenSerde<T>, bytes: Buffer): Promise<T> {
  return await readNow(() => serde.deserialize(bytes, 0, bytes.length))
}

/** What `read` answers once every schema that it waits for is here: a read of a store whose rows another program version wrote. */
export async function readNow<T>(read: () => T): Promise<T> {
  for (;;) {
    try {
      return read()
    } catch (error) {
      if (!(error instanceof SchemaPending)) throw error
      await error.load()
    }
  }
}
