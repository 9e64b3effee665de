/** A producer with what holds where nothing else is said. */
import type { Producer, ProducerOptions } from '../../transport.ts'
import type { KafkaCluster } from '../cluster/cluster.ts'
import type { Compression } from '../codecs.ts'
import { KafkaProducer } from './kafka-producer.ts'
import { PRODUCER_LIMITS, type ProducerLimits } from './producer-limits.ts'
import { producerLink } from './producer-link.ts'

/** What can be set for all producers of a log. */
export interface ProducerSetting {
  /** How batches are compressed. Default: none. */
  readonly compression?: Compression
  readonly limits?: Partial<ProducerLimits>
  /** Called once, when the producer closes. */
  readonly onClose?: () => void
}

/** A producer on connections of its own, which connects to nothing before its init. */
export function openKafkaProducer(
  cluster: KafkaCluster,
  options: ProducerOptions,
  { compression = 'none', limits = {}, onClose = () => {} }: ProducerSetting = {},
): Producer {
  return new KafkaProducer(producerLink(cluster), {
    ...options,
    compression,
    onClose,
    limits: { ...cluster.limits, ...PRODUCER_LIMITS, ...limits },
  })
}
