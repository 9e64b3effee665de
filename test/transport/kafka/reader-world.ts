/** What the scripted tests of the Kafka reader share: pretended brokers on a clock moved by hand. */
import { asOffset, asPartition, asTopic, type PartitionOffset } from '../../../model/position.ts'
import { handClock, type HandClock } from '../../../testing/hand-clock.ts'
import {
  KafkaReader,
  type KafkaReaderOptions,
} from '../../../transport/kafka/reader/kafka-reader.ts'
import type { Cursor, FetchedBatch } from '../../../transport/transport.ts'
import { FetchBrokers } from './fetch-brokers.ts'
import { FetchLog } from './fetch-log.ts'

export const TOPIC = asTopic('t')

/** Brokers, their logs and a clock. */
export class ReaderWorld {
  readonly clock: HandClock = handClock()
  readonly brokers = new FetchBrokers(this.clock)

  /** A partition of TOPIC, on broker 1 unless another is named. */
  log(partition = 0, { leader = 1, topicId = 'id' } = {}): FetchLog {
    const log = new FetchLog(TOPIC, partition, { topicId, leader })
    this.brokers.logs.push(log)
    return log
  }

  reader(options: Partial<KafkaReaderOptions> = {}): KafkaReader {
    const isolation = 'read_committed'
    return new KafkaReader({
      cluster: this.brokers,
      isolation,
      prefetchBytes: 1_000_000,
      ...options,
    })
  }

  /** Lets everything happen that needs no time. */
  async settle(): Promise<void> {
    this.brokers.notify()
    await this.clock.rest()
  }

  /** All that a cursor hands out without time passing, as `offset:value`. */
  async drain(cursor: Cursor): Promise<readonly string[]> {
    const values: string[] = []
    for (;;) {
      await this.settle()
      const batch = cursor.take()
      if (batch === undefined) return values
      values.push(...valuesOf(batch))
      batch.release()
    }
  }

  /** What a cursor's take throws, once what it has was taken. */
  async failure(cursor: Cursor): Promise<unknown> {
    try {
      await this.drain(cursor)
    } catch (error) {
      return error
    }
    throw new Error('the cursor did not fail')
  }
}

export function at(offset: number, partition = 0): PartitionOffset {
  return { topic: TOPIC, partition: asPartition(partition), offset: asOffset(offset) }
}

export function valuesOf(batch: FetchedBatch | undefined): readonly string[] {
  return (batch?.records ?? []).map(({ offset, value }) => `${offset}:${value?.toString() ?? ''}`)
}
