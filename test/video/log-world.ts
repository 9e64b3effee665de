/** A log with a registry for ingest tests, what is in it, and writers that die at a chosen call. */
import { mkdtemp, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { asOffset, asPartition, type Topic } from '../../model/position.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { avro } from '../../serdes/avro.ts'
import { memoryRegistry } from '../../serdes/memory-registry.ts'
import type { Registry } from '../../serdes/registry.ts'
import { openEmbeddedLog } from '../../transport/embedded/open.ts'
import type { Faults } from '../../transport/memory/faults.ts'
import { memoryLog } from '../../transport/memory/memory-log.ts'
import type { LogRecord } from '../../model/record.ts'
import type { Producer, Transport } from '../../transport/transport.ts'
import { Chunk, ChunkKey, VideoState } from '../../video/schemas.ts'
import { RAW_TOPIC, VIDEOS_TOPIC } from '../../video/topics.ts'
import type { Clock } from '../../model/clock.ts'

export interface LogWorld extends AsyncDisposable {
  readonly transport: Transport
  readonly registry: Registry
  readonly clock: Clock
}

/** The logs that an ingest must do the same on. */
export const LOGS = ['memory', 'embedded'] as const

export async function openWorld(
  log: (typeof LOGS)[number] = 'embedded',
  clock: Clock = systemClock(),
  faults?: Faults,
): Promise<LogWorld> {
  if (log === 'memory') {
    const transport = memoryLog({ clock, ...(faults && { faults }) })
    return {
      transport,
      registry: memoryRegistry(),
      clock,
      [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
    }
  }
  const folder = await mkdtemp(path.join(os.tmpdir(), 'millrace-ingest-'))
  const transport = await openEmbeddedLog({ folder, clock })
  return {
    transport,
    registry: memoryRegistry(),
    clock,
    async [Symbol.asyncDispose]() {
      await transport[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** A record of videos.raw. */
export interface RawChunk {
  readonly key: ChunkKey
  readonly chunk: Chunk
  readonly timestamp: number
  readonly partition: number
}

/** All committed chunks, partition by partition. */
export async function rawChunks(world: LogWorld): Promise<readonly RawChunk[]> {
  const { registry } = world
  const keys = await avro(ChunkKey).open({ topic: RAW_TOPIC, role: 'key', registry })
  const values = await avro(Chunk).open({ topic: RAW_TOPIC, role: 'value', registry })
  const records = await committed(world, RAW_TOPIC)
  return records.map(({ partition, record: { key, value, timestamp } }) => ({
    key: keys.deserialize(key ?? Buffer.alloc(0), 0, key?.length ?? 0),
    chunk: values.deserialize(value ?? Buffer.alloc(0), 0, value?.length ?? 0),
    timestamp,
    partition,
  }))
}

/** All committed rows of `videos`, old ones included. */
export async function videoRows(world: LogWorld): Promise<readonly VideoState[]> {
  const { registry } = world
  const rows = await avro(VideoState).open({ topic: VIDEOS_TOPIC, role: 'value', registry })
  const records = await committed(world, VIDEOS_TOPIC)
  return records.map(({ record: { value } }) =>
    rows.deserialize(value ?? Buffer.alloc(0), 0, value?.length ?? 0),
  )
}

async function committed(
  { transport }: LogWorld,
  topic: Topic,
): Promise<readonly { partition: number; record: LogRecord }[]> {
  const [described] = await transport.admin.describeTopics([topic])
  const found: { partition: number; record: LogRecord }[] = []
  for (let partition = 0; partition < (described?.partitions ?? 0); partition += 1) {
    const place = { topic, partition: asPartition(partition) }
    // Up to the last stable offset: a killed writer's transaction may still be open behind it.
    const [end = asOffset(0)] = await transport.admin.offsets([place], 'latest', 'read_committed')
    await using reader = transport.openReader({ isolation: 'read_committed', prefetchBytes: 1e6 })
    const cursor = reader.open({ ...place, offset: asOffset(0) })
    while (cursor.position < end) {
      const batch = cursor.take()
      if (batch === undefined) await reader.ready()
      for (const record of batch?.records ?? []) found.push({ partition, record })
    }
  }
  return found
}

/** The next offset of a topic's partition 0, control records included: it shows whether anything at all was written. */
export async function logEnd({ transport }: LogWorld, topic: Topic): Promise<number> {
  const at = [{ topic, partition: asPartition(0) }]
  const [end = asOffset(0)] = await transport.admin.offsets(at, 'latest', 'read_uncommitted')
  return end
}

/** What a process that is killed throws in our tests. */
export class Crash extends Error {}

/** A call of a producer that goes otherwise than asked: on its way there, or on its way back. */
export interface Interruption {
  readonly call: 'send' | 'flush' | 'commit'
  /** From 1, over all calls of that name. */
  readonly count: number
  readonly moment: 'before' | 'after'
}

/** The same log, whose producers stop for ever at that call: nothing is flushed, aborted or closed after it. */
export function crashing(transport: Transport, at: Interruption): Transport {
  return interrupted(transport, at, { error: () => new Crash(), forEver: true })
}

/** The same log, where that one call fails with `error`. */
export function failing(transport: Transport, at: Interruption, error: () => Error): Transport {
  return interrupted(transport, at, { error, forEver: false })
}

function interrupted(
  transport: Transport,
  at: Interruption,
  { error, forEver }: { error: () => Error; forEver: boolean },
): Transport {
  let count = 0
  let dead = false
  /** Whether this call is the one; throws where there is nobody left to make it. */
  const isIt = (call: string): boolean => {
    if (dead) throw error()
    const found = call === at.call && ++count === at.count
    if (found && forEver) dead = true
    return found
  }
  const dying = async <T>(call: string, work: () => Promise<T>): Promise<T> => {
    const found = isIt(call)
    if (found && at.moment === 'before') throw error()
    const result = await work()
    if (found) throw error()
    return result
  }
  const producerOf = (producer: Producer): Producer => ({
    get bufferedBytes() {
      return producer.bufferedBytes
    },
    init: () => producer.init(),
    send: (record) => {
      const found = isIt('send')
      if (!found || at.moment === 'after') producer.send(record)
      if (found) throw error()
    },
    flush: () => dying('flush', () => producer.flush()),
    sendOffsets: (offsets, group) => producer.sendOffsets(offsets, group),
    commit: () => dying('commit', () => producer.commit()),
    abort: () => dying('abort', () => producer.abort()),
    discard: () => producer.discard(),
    [Symbol.asyncDispose]: async () => {
      if (!dead) await producer[Symbol.asyncDispose]()
    },
  })
  return withProducers(transport, producerOf)
}

/** The same log, whose producers wait for something before they flush. */
export function flushingAfter(
  transport: Transport,
  something: () => Promise<void> | undefined,
): Transport {
  return withProducers(transport, (producer) => ({
    get bufferedBytes() {
      return producer.bufferedBytes
    },
    init: () => producer.init(),
    send: (record) => producer.send(record),
    flush: async () => {
      await something()
      return await producer.flush()
    },
    sendOffsets: (offsets, group) => producer.sendOffsets(offsets, group),
    commit: () => producer.commit(),
    abort: () => producer.abort(),
    discard: () => producer.discard(),
    [Symbol.asyncDispose]: () => producer[Symbol.asyncDispose](),
  }))
}

function withProducers(transport: Transport, change: (producer: Producer) => Producer): Transport {
  return {
    admin: transport.admin,
    openReader: (options) => transport.openReader(options),
    openMembership: (options) => transport.openMembership(options),
    openProducer: (options) => change(transport.openProducer(options)),
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  }
}
