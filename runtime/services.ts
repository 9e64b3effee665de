/** What the tasks of one commit unit share, made when the unit starts. */
import type { Clock } from '../model/clock.ts'
import type { Topic } from '../model/position.ts'
import type { Payloads } from '../processors/payloads.ts'
import type { Reader } from '../transport/transport.ts'
import type { OffsetWriter } from './assignment.ts'
import type { StreamsEvent, StreamsLimits } from './config.ts'
import type { DeadLetterTopic } from './dead-letter.ts'
import type { FailurePolicies } from './failure.ts'
import type { Counters } from './metrics.ts'
import type { OpenTopology } from './open-topology.ts'
import type { Outputs } from './outputs.ts'
import type { Pause } from './pause.ts'

/** The same for every unit of an app. */
export interface AppServices {
  readonly open: OpenTopology
  readonly clock: Clock
  readonly limits: StreamsLimits
  readonly failures: FailurePolicies
  readonly payloads: Payloads
  readonly counters: Counters
  readonly pause: Pause
  readonly deadLetters: DeadLetterTopic | undefined
  /** How many partitions a topic has; asserts that the app knows the topic. */
  readonly partitionsOf: (topic: Topic) => number
  readonly topicIdOf: (topic: Topic) => string
  /** One object per key in this process. */
  readonly shared: <T>(key: object, make: () => T) => T
  readonly onEvent: (event: StreamsEvent) => void
}

/** What a unit adds. */
export interface UnitServices extends AppServices {
  readonly reader: Reader
  readonly outputs: Outputs
  readonly writer: OffsetWriter
  /** There may be work: ends the loop's wait. */
  readonly onWork: () => void
}
