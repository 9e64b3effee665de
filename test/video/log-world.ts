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
import type { LogRecord } from '../../model/record.ts'
import type { Producer, Transport } from '../../transport/transport.ts'
import { scanLog } from '../../video/log-scan.ts'
import { Chunk, ChunkKey, VideoState } from '../../video/schemas.ts'
import { RAW_TOPIC, VIDEOS_TOPIC } from '../../video/topics.ts'
import type { Clock } from '../../model/clock.ts'

export interface LogWorld extends AsyncDisposable {
  readonly transport: Transport
  readonly registry: Registry
  readonly clock: Clock
}

export async function openWorld(): Promise<LogWorld> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'millrace-ingest-'))
  const clock = systemClock()
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
  { transport, clock }: LogWorld,
  topic: Topic,
): Promise<readonly { partition: number; record: LogRecord }[]> {
  const [described] = await transport.admin.describeTopics([topic])
  const found: { partition: number; record: LogRecord }[] = []
  for (let partition = 0; partition < (described?.partitions ?? 0); partition += 1) {
    const scan = { transport, clock, topic, partition: asPartition(partition) }
    for await (const record of scanLog(scan)) found.push({ partition, record })
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

/** Which of a producer's calls is a process's last, and whether the log still did what it asked for. */
export interface CrashPoint {
  readonly call: 'send' | 'flush' | 'commit'
  /** From 1, over all calls of that name. */
  readonly count: number
  readonly moment: 'before' | 'after'
}

/** The same log, whose producers stop for ever at the crash point: nothing is flushed, aborted or closed after it. */
export function crashing(transport: Transport, point: CrashPoint): Transport {
  let count = 0
  let dead = false
  const producerOf = (producer: Producer): Producer => {
    const dying = async (call: string, work: () => Promise<unknown>): Promise<unknown> => {
      if (dead) throw new Crash(call)
      const here = call === point.call && ++count === point.count
      if (here) dead = true
      if (here && point.moment === 'before') throw new Crash(call)
      const result = await work()
      if (here) throw new Crash(call)
      return result
    }
    return new Proxy(producer, {
      get(target, name) {
        if (name === Symbol.asyncDispose) return async () => {}
        if (name === 'abort') return () => dying('abort', () => target.abort())
        if (name === 'flush') return () => dying('flush', () => target.flush())
        if (name === 'commit') return () => dying('commit', () => target.commit())
        if (name === 'send') {
          return (record: Parameters<Producer['send']>[0]) => {
            if (dead) throw new Crash('send')
            const here = point.call === 'send' && ++count === point.count
            if (here) dead = true
            if (!here || point.moment === 'after') target.send(record)
            if (here) throw new Crash('send')
          }
        }
        const value: unknown = Reflect.get(target, name)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }
  return new Proxy(transport, {
    get(target, name) {
      if (name === 'openProducer') {
        return (options: Parameters<Transport['openProducer']>[0]) =>
          producerOf(target.openProducer(options))
      }
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}
