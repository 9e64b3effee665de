/** Who a producer is to the log, and how its records are numbered. Source: Kafka's KIP-98 and KIP-360. */

/** What `InitProducerId` gives out. An id with a higher epoch fences the lower ones. */
export interface ProducerIdentity {
  readonly producerId: number
  readonly producerEpoch: number
}

const SEQUENCES = 2 ** 31
/** The last epoch that may be used: the broker keeps the one above for itself. */
const LAST_EPOCH = 2 ** 15 - 2

/** The sequence `count` records after `sequence`: they wrap. */
export function sequenceAfter(sequence: number, count: number): number {
  return (sequence + count) % SEQUENCES
}

/** Whether a sequence comes after another one. They wrap, and those that are compared lie close together. */
export function isAfter(sequence: number, other: number): boolean {
  const distance = (sequence - other + SEQUENCES) % SEQUENCES
  return distance > 0 && distance < SEQUENCES / 2
}

/** The same producer under its next epoch, where nobody has to be asked; undefined behind the last one. */
export function nextEpoch({
  producerId,
  producerEpoch,
}: ProducerIdentity): ProducerIdentity | undefined {
  if (producerEpoch >= LAST_EPOCH) return undefined
  return { producerId, producerEpoch: producerEpoch + 1 }
}

/** Whether nobody took an epoch between two. */
export function isRightAfter(earlier: ProducerIdentity, later: ProducerIdentity): boolean {
  const isSame = later.producerId === earlier.producerId
  return isSame && later.producerEpoch === earlier.producerEpoch + 1
}
