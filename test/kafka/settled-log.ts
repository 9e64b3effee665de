/**
 * A log on Kafka whose transactions are visible when `commit` and `abort` return. Kafka answers when
 * the outcome is decided, and writes the markers that make it visible a few milliseconds later; tests
 * that look at once wait here, by asking the coordinator whether all markers are written.
 */
import { sleep } from '../../model/clock.ts'
import type { Api } from '../../transport/kafka/api/api.ts'
import { KafkaCluster } from '../../transport/kafka/cluster/cluster.ts'
import { parseBrokers, type KafkaOptions } from '../../transport/kafka/options/kafka-options.ts'
import { KafkaTransport } from '../../transport/kafka/kafka-transport.ts'
import { openKafka } from '../../transport/kafka/open.ts'
import type { Producer, ProducerOptions, Transport } from '../../transport/transport.ts'

const ASK_AGAIN_MS = 2
const DEADLINE_MS = 10_000

/** A log with a way to end it as kill -9 does. */
export interface SettledLog extends Transport {
  abandon(): Promise<void>
}

/** Opens a log of which every producer waits until its transactions are visible. */
export async function openSettledLog(options: KafkaOptions): Promise<SettledLog> {
  const log = await openKafka(options)
  if (!(log instanceof KafkaTransport)) throw new Error('openKafka opens something else')
  const { brokers, clock } = options
  const beside = new KafkaCluster({ brokers: parseBrokers(brokers), clock })
  return {
    admin: log.admin,
    openReader: (of) => log.openReader(of),
    openMembership: (of) => log.openMembership(of),
    openProducer: (of) => settledProducer(log.openProducer(of), of, beside),
    abandon: async () => {
      await log.abandon()
      await beside[Symbol.asyncDispose]()
    },
    [Symbol.asyncDispose]: async () => {
      await log[Symbol.asyncDispose]()
      await beside[Symbol.asyncDispose]()
    },
  }
}

function settledProducer(
  producer: Producer,
  { transactionalId }: ProducerOptions,
  beside: KafkaCluster,
): Producer {
  if (transactionalId === undefined) return producer
  const settled = (): Promise<void> => untilSettled(beside, transactionalId)
  return {
    init: () => producer.init(),
    send: (record) => producer.send(record),
    get bufferedBytes() {
      return producer.bufferedBytes
    },
    flush: () => producer.flush(),
    sendOffsets: (offsets, group) => producer.sendOffsets(offsets, group),
    commit: async () => {
      await producer.commit()
      await settled()
    },
    abort: async () => {
      await producer.abort()
      await settled()
    },
    discard: () => producer.discard(),
    [Symbol.asyncDispose]: async () => await producer[Symbol.asyncDispose](),
  }
}

async function untilSettled(cluster: KafkaCluster, transactionalId: string): Promise<void> {
  const { clock } = cluster
  const end = clock.monotonic() + DEADLINE_MS
  while (clock.monotonic() < end) {
    const [transaction] = await cluster.askCoordinator(
      { kind: 'transaction', key: transactionalId },
      [DESCRIBE_TRANSACTIONS, [transactionalId]],
      { codeOf: ([one]) => one?.errorCode ?? 0 },
    )
    if (transaction?.state.startsWith('Prepare') !== true) return
    await sleep(clock, ASK_AGAIN_MS)
  }
  throw new Error(`the markers of ${transactionalId} were not written within ${DEADLINE_MS} ms`)
}

const DESCRIBE_TRANSACTIONS: Api<
  readonly string[],
  readonly { readonly errorCode: number; readonly state: string }[]
> = {
  key: 65,
  name: 'DescribeTransactions',
  versions: [0, 0],
  flexibleFrom: 0,
  encode: (to, ids) => void to.strings(ids).tags(),
  decode: (from) => {
    from.int32()
    const found = from.array(() => {
      const errorCode = from.int16()
      from.string()
      const state = from.string()
      from.int32()
      from.int64()
      from.int64()
      from.int16()
      from.array(() => {
        from.string()
        from.int32s()
        from.tags()
      })
      from.tags()
      return { errorCode, state }
    })
    from.tags()
    return found
  },
}
