/** Opens a Kafka cluster as a log. */
import type { Transport } from '../transport.ts'
import { ADD_PARTITIONS_TO_TXN } from './api/add-partitions-to-txn.ts'
import { CREATE_TOPICS } from './api/create-topics.ts'
import { END_TXN } from './api/end-txn.ts'
import { FETCH } from './api/fetch.ts'
import { INIT_PRODUCER_ID } from './api/init-producer-id.ts'
import { JOIN_GROUP } from './api/join-group.ts'
import { METADATA } from './api/metadata.ts'
import { OFFSET_FETCH } from './api/offset-fetch.ts'
import { PRODUCE } from './api/produce.ts'
import { TXN_OFFSET_COMMIT } from './api/txn-offset-commit.ts'
import type { BrokerAbilities } from './cluster/broker-abilities.ts'
import { timeLeftMs } from './cluster/within-deadline.ts'
import { clusterOf } from './options/cluster-of.ts'
import type { KafkaOptions } from './options/kafka-options.ts'
import { KafkaTransport } from './kafka-transport.ts'

/**
 * Connects to a first broker and looks whether it speaks what is needed, and whether the cluster can be
 * reached where it says that it is, so that a wrong address, password or version is told here and not
 * in the middle of work. Rejects with
 * MILLRACE_KAFKA_UNREACHABLE after `limits.openDeadlineMs`, or at once with MILLRACE_KAFKA_TLS,
 * MILLRACE_KAFKA_AUTHENTICATION, MILLRACE_KAFKA_UNSUPPORTED_VERSION or MILLRACE_KAFKA_MISCONFIGURED,
 * and with the reason of `signal`.
 *
 * @example await using log = await openKafka({ brokers: 'localhost:9092', clock: systemClock() })
 */
export async function openKafka(options: KafkaOptions): Promise<Transport> {
  const { signal } = options
  const cluster = clusterOf(options)
  try {
    const { clock, limits } = cluster
    const end = clock.monotonic() + limits.openDeadlineMs
    assertAble(await cluster.abilities({ deadlineMs: limits.openDeadlineMs, signal }))
    // A listener that wants SASL lets only the first question pass: the next one tells at once.
    await cluster.reachBrokers({ deadlineMs: timeLeftMs(clock, end), signal })
  } catch (error) {
    await cluster[Symbol.asyncDispose]()
    throw error
  }
  const { rack, replicationFactor, compression } = options
  const { producer: producerLimits, reader: readerLimits } = options
  const common = { cluster, rack, replicationFactor, compression }
  return new KafkaTransport({ ...common, producerLimits, readerLimits })
}

/** The requests that came last to Kafka, or in a version that did. */
function assertAble(abilities: BrokerAbilities): void {
  abilities.versionFor(METADATA)
  abilities.versionFor(PRODUCE)
  abilities.versionFor(FETCH)
  abilities.versionFor(OFFSET_FETCH)
  abilities.versionFor(JOIN_GROUP)
  abilities.versionFor(INIT_PRODUCER_ID)
  abilities.versionFor(ADD_PARTITIONS_TO_TXN, 3)
  abilities.versionFor(TXN_OFFSET_COMMIT, 3)
  abilities.versionFor(END_TXN, 3)
  abilities.versionFor(CREATE_TOPICS)
}
