/**
 * Big values stay in the log. A reference says where a value lies and how to tell it from another
 * that took its place; joins, stores and changelogs carry the reference, some 40 bytes. The bytes
 * come back from a byte-bounded cache, or by a re-read of which every field is verified.
 */
/** Stands for the value of one record of the log. T is what the value deserializes to. */
export interface Reference<T = unknown> {
  /** UUID of the topic: a topic that was deleted and created again does not answer to it. */
  readonly topicId: string
  readonly partition: number
  readonly offset: number
  readonly leaderEpoch: number
  /** Milliseconds since 1970. */
  readonly timestamp: number
  readonly sizeBytes: number
  /** CRC-32C of the value's bytes, as an unsigned number. */
  readonly crc32c: number
  /** Never set: carries T for inference. */
  readonly type?: T
}

/** What a stream's values are once references are resolved. */
export type Dereferenced<V> = V extends Reference<infer T> ? T : V

/** Says how long bytes must stay as they are: until everybody who holds them has let go. */
export interface Lease {
  hold(): void
  /** To be called once for each hold; the bytes may be overwritten after the last one. */
  letGo(): void
  /** The bytes went where nobody counts: from now on they stay as they are. */
  giveUp(): void
}

/** The bytes behind references, shared by all tasks of a process. */
export interface Payloads {
  /** Keeps a value that was just read. The buffer may be a view; it is kept as it is, and `lease` held as long. */
  keep(reference: Reference, bytes: Buffer, lease?: Lease): void
  /** The value's bytes, if they are still at hand. */
  peek(reference: Reference): Buffer | undefined
  /** The value's bytes, re-read where necessary. Rejects with MILLRACE_REFERENCE_GONE where the log does not hold that very record any more. */
  read(reference: Reference, signal: AbortSignal): Promise<Buffer>
}
