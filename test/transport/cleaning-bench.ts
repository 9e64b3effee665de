/** A log in a folder whose wall clock is moved by hand, and whose cleaner runs all the time. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../model/clock.ts'
import { asOffset, asPartition, asTopic, type TopicPartition } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { EmbeddedTransport } from '../../transport/embedded/embedded-transport.ts'
import type { EmbeddedLogOptions } from '../../transport/embedded/limits.ts'
import { openEmbeddedLog } from '../../transport/embedded/open.ts'
import type { Isolation, Producer, TopicConfig } from '../../transport/transport.ts'

export const TOPIC = asTopic('cleaned')
export const AT: TopicPartition = { topic: TOPIC, partition: asPartition(0) }
const PATIENCE_MS = 20_000

export class CleaningBench implements AsyncDisposable {
  readonly folder: string
  readonly log: EmbeddedTransport
  readonly time: { now: number }
  readonly failures: string[]

  private constructor(
    folder: string,
    log: EmbeddedTransport,
    shared: { readonly time: { now: number }; readonly failures: string[] },
  ) {
    this.folder = folder
    this.log = log
    this.time = shared.time
    this.failures = shared.failures
  }

  static async open(
    folder: string,
    options: Partial<EmbeddedLogOptions> = {},
    time = { now: 1_700_000_000_000 },
  ): Promise<CleaningBench> {
    const clock: Clock = { ...systemClock(), now: () => time.now }
    const failures: string[] = []
    const log = await openEmbeddedLog({
      folder,
      clock,
      cleanIntervalMs: 1,
      onCleaningFailed: (error, { topic, partition }) =>
        failures.push(`${topic}[${partition}] ${error.message}`),
      ...options,
    })
    if (!(log instanceof EmbeddedTransport)) throw new TypeError('another log was opened')
    return new CleaningBench(folder, log, { time, failures })
  }

  async create(config: TopicConfig): Promise<void> {
    await this.log.admin.createTopics([{ topic: TOPIC, partitions: 1, config }])
  }

  async producer(transactionalId?: string): Promise<Producer> {
    const producer = this.log.openProducer(transactionalId === undefined ? {} : { transactionalId })
    await producer.init()
    return producer
  }

  /** Sends and flushes `key=value` texts, `key` alone for a tombstone, at the time that it is now. */
  async send(producer: Producer, ...texts: readonly string[]): Promise<void> {
    for (const text of texts) {
      const [key = '', value] = text.split('=')
      this.put(producer, key, value === undefined ? null : Buffer.from(value))
      await producer.flush()
    }
  }

  put(producer: Producer, key: string, value: Buffer | null): void {
    const timestamp = this.time.now
    producer.send({ ...AT, key: Buffer.from(key), value, timestamp, headers: NO_HEADERS })
  }

  async earliest(): Promise<number> {
    return (await this.log.admin.offsets([AT], 'earliest', 'read_committed'))[0] ?? -1
  }

  async end(isolation: Isolation = 'read_committed'): Promise<number> {
    return (await this.log.admin.offsets([AT], 'latest', isolation))[0] ?? -1
  }

  /** All records from the earliest on as `offset key=value`. */
  async texts(isolation: Isolation = 'read_committed'): Promise<readonly string[]> {
    const end = await this.end(isolation)
    await using reader = this.log.openReader({ isolation, prefetchBytes: 100_000 })
    const cursor = reader.open({ ...AT, offset: asOffset(await this.earliest()) })
    const texts: string[] = []
    while (cursor.position < end) {
      const batch = cursor.take()
      if (batch === undefined) await reader.ready()
      for (const { offset, key, value } of batch?.records ?? []) {
        texts.push(`${offset} ${String(key)}${value === null ? '' : `=${String(value)}`}`)
      }
    }
    return texts
  }

  /** The names of the partition's segment files. */
  async files(): Promise<readonly string[]> {
    const names = await readdir(this.pathOf(''))
    return names.toSorted()
  }

  pathOf(file: string): string {
    return join(this.folder, 'topics', TOPIC, '0', file)
  }

  /** Waits until the cleaner made it so. */
  async until(what: string, isSo: () => Promise<boolean>): Promise<void> {
    const clock = systemClock()
    const deadline = clock.monotonic() + PATIENCE_MS
    while (!(await isSo())) {
      if (clock.monotonic() > deadline) throw new Error(`waited ${PATIENCE_MS} ms for ${what}`)
      await clock.yield()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.log[Symbol.asyncDispose]()
  }
}
