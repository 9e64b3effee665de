/** Apps over a real embedded log and real LevelDB, in a folder of their own. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { asOffset, asPartition, asTopic } from '../../model/position.ts'
import { NO_HEADERS, type LogRecord } from '../../model/record.ts'
import { partitionForKey } from '../../model/murmur2.ts'
import { streams, type StreamsApp } from '../../runtime/app.ts'
import type { StreamsOptions } from '../../runtime/config.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { memoryRegistry } from '../../serdes/memory-registry.ts'
import type { Topology } from '../../topology/graph.ts'
import { openEmbeddedLog } from '../../transport/embedded/open.ts'
import type { Transport } from '../../transport/transport.ts'

/** A folder with a log, and what tests do with it. */
export class Bench implements AsyncDisposable {
  readonly folder: string
  readonly transport: Transport
  readonly registry = memoryRegistry()
  readonly clock = systemClock()

  constructor(folder: string, transport: Transport) {
    this.folder = folder
    this.transport = transport
  }

  static async open(): Promise<Bench> {
    const folder = await mkdtemp(join(tmpdir(), 'millrace-runtime-'))
    const clock = systemClock()
    return new Bench(folder, await openEmbeddedLog({ folder: join(folder, 'log'), clock }))
  }

  async createTopics(names: readonly string[], partitions = 1): Promise<void> {
    await this.transport.admin.createTopics(
      names.map((name) => ({ topic: asTopic(name), partitions })),
    )
  }

  app(topology: Topology, options: Partial<StreamsOptions> = {}): StreamsApp {
    const { transport, registry, clock } = this
    const state = { kind: 'folder', folder: join(this.folder, 'state') } as const
    return streams(topology, { transport, registry, clock, state, ...options })
  }

  async produce(
    topic: string,
    records: readonly { key: string; value: string | Buffer; timestamp?: number }[],
    partitions = 1,
  ): Promise<void> {
    await using producer = this.transport.openProducer({})
    await producer.init()
    for (const [i, { key, value, timestamp = 1000 + i }] of records.entries()) {
      producer.send({
        topic: asTopic(topic),
        partition: asPartition(partitionForKey(Buffer.from(key), partitions)),
        key: Buffer.from(key),
        value: Buffer.from(value),
        timestamp,
        headers: NO_HEADERS,
      })
    }
    await producer.flush()
  }

  /** All committed records of a topic, partition by partition. */
  async read(topic: string): Promise<readonly LogRecord[]> {
    const [described] = await this.transport.admin.describeTopics([asTopic(topic)])
    const records: LogRecord[] = []
    for (let p = 0; p < (described?.partitions ?? 0); p += 1) {
      const at = { topic: asTopic(topic), partition: asPartition(p) }
      const [end] = await this.transport.admin.offsets([at], 'latest', 'read_committed')
      await using reader = this.transport.openReader({
        isolation: 'read_committed',
        prefetchBytes: 1 << 20,
      })
      const cursor = reader.open({ ...at, offset: asOffset(0) })
      while (cursor.position < (end ?? 0)) {
        const batch = cursor.take()
        if (batch === undefined) await reader.ready()
        else records.push(...batch.records)
      }
    }
    return records
  }

  /** The committed records of a topic as `key=value` texts. */
  async texts(topic: string): Promise<readonly string[]> {
    return (await this.read(topic)).map(
      ({ key, value }) => `${key?.toString()}=${value?.toString()}`,
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.transport[Symbol.asyncDispose]()
    await rm(this.folder, { recursive: true, force: true })
  }
}
