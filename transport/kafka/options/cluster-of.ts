/** The cluster that options name; nothing is connected yet. */
import { KafkaCluster } from '../cluster/cluster.ts'
import { parseBrokers, type KafkaOptions } from './kafka-options.ts'

/** To be disposed by the caller. Throws MILLRACE_KAFKA_MISCONFIGURED where the brokers are none. */
export function clusterOf(options: KafkaOptions): KafkaCluster {
  const { brokers, tls, sasl, clientId, limits, clock } = options
  return new KafkaCluster({
    brokers: parseBrokers(brokers),
    tls: tls === true ? {} : tls === false ? undefined : tls,
    sasl,
    clock,
    ...(clientId === undefined ? {} : { clientId }),
    ...(limits === undefined ? {} : { limits }),
  })
}
