/**
 * Values <-> bytes. A serde is declared once, in a topology, and opened once for each topic or store
 * that uses it: only the opened half knows the topic and the registry. Deserializing reads a range of
 * a buffer in place, so that the record loop makes no view per field.
 */
import type { Clock } from '../model/clock.ts'
import type { Registry } from './registry.ts'

/** The declared half: a plain value that can be printed and shared. */
export interface Serde<T> {
  /** For messages and describe: `text`, `avro(millrace.video.Chunk)`. */
  readonly name: string
  /** The running half for one topic or store. Asynchronous because a registry may have to be asked. */
  open(context: SerdeContext): Promise<OpenSerde<T>>
  /** Never set: carries T for inference. */
  readonly type?: T
}

/** What a serde is opened for. */
export interface SerdeContext {
  /** The topic, or the changelog topic of a store. */
  readonly topic: string
  readonly role: 'key' | 'value'
  readonly registry: Registry
  /** Lets a serde remember for a while what its registry does not have; without it, it asks each time. */
  readonly clock?: Clock
}

/** Lends buffers for large values. Who writes the values gives the buffers back when their bytes have left. */
export interface Room {
  /** A buffer of at least so many bytes, which hold anything. */
  take(bytes: number): Buffer
}

/** The running half. Calls are synchronous and do not keep the buffer, unless the type says so (bytes are views). */
export interface OpenSerde<T> {
  /** The wire format, as a record of the topic carries it. A large value may be written into a buffer from `room`. */
  serialize(value: T, room?: Room): Buffer
  /**
   * Reads the range [start, end) of `buffer`. Throws SerdeError (MILLRACE_DESERIALIZATION) for bytes
   * that do not fit, and SchemaPending where a schema has to be fetched first.
   */
  deserialize(buffer: Buffer, start: number, end: number): T
  /**
   * What every serialized value begins with and what is not part of the value itself: the five
   * bytes of a registry id, or none. Stores keep keys without it, for two schema ids must not make
   * equal keys differ.
   */
  readonly prefix: Buffer
  /** Of keys in windows: how many bytes at the end say when, and not whose. A partition is chosen without them. Default 0. */
  readonly timeBytes?: number
}

/** Thrown by `deserialize` where the writer's schema is not here yet: await `load()`, then call again. */
export class SchemaPending extends Error {
  override readonly name = 'SchemaPending'
  /** Fetches the schema. Rejects with MILLRACE_UNKNOWN_SCHEMA where the registry has none. */
  readonly load: () => Promise<void>

  constructor(schemaId: number, load: () => Promise<void>) {
    super(`schema ${schemaId} has to be fetched first`)
    this.load = load
  }
}
