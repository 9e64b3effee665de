/** Every wait, retry and buffer of the Kafka adapter that has a limit, by name. */
import { sleep, type Clock } from '../../model/clock.ts'
import { TransportError } from '../errors.ts'

/** Limits of the connections to a cluster. */
export interface KafkaLimits {
  /** From the first packet to an authenticated connection, TLS and SASL included. */
  readonly connectDeadlineMs: number
  /** How long an address has before another is tried beside it, where any broker will do. */
  readonly nextAddressAfterMs: number
  /** How long opening a log waits for a first broker. */
  readonly openDeadlineMs: number
  /** From a request to its answer, where the caller names no other. What it passes ends the connection. */
  readonly requestDeadlineMs: number
  /** How long one broker may take over a small question about the cluster before another is asked. What it passes ends the connection. */
  readonly questionDeadlineMs: number
  /** How long a call of Admin, or a search for a leader or coordinator, tries before it gives up. */
  readonly callDeadlineMs: number
  /** Delay before the first retry; it doubles with each further one, half of it by chance. */
  readonly retryMinMs: number
  readonly retryMaxMs: number
  /** What is known of a topic is asked anew when it is older. */
  readonly metadataMaxAgeMs: number
  /** How long a topic that a broker does not know is asked for again, since news of it may still be under way. */
  readonly unknownTopicPatienceMs: number
  /** How long before its end a SASL session is renewed. */
  readonly reauthenticationMarginMs: number
  /** A response that says it is larger is damaged, or of something else than Kafka. */
  readonly maxResponseBytes: number
  /** How long a new topic may take to be known, and a deleted one to be forgotten, by every broker. */
  readonly topicSpreadDeadlineMs: number
  /** Time between two looks at a broker that holds a join or a sync back, and for its answer to one. */
  readonly heldRoundCheckMs: number
}

/** What holds where nothing else is said. */
export const KAFKA_LIMITS: KafkaLimits = {
  connectDeadlineMs: 10_000,
  nextAddressAfterMs: 1_000,
  openDeadlineMs: 15_000,
  requestDeadlineMs: 30_000,
  questionDeadlineMs: 5_000,
  callDeadlineMs: 60_000,
  retryMinMs: 20,
  retryMaxMs: 1_000,
  metadataMaxAgeMs: 300_000,
  unknownTopicPatienceMs: 300,
  reauthenticationMarginMs: 10_000,
  maxResponseBytes: 512 * 1024 * 1024,
  topicSpreadDeadlineMs: 30_000,
  heldRoundCheckMs: 10_000,
}

/** How to go on trying. */
export interface Patience {
  readonly clock: Clock
  readonly limits: Pick<KafkaLimits, 'retryMinMs' | 'retryMaxMs'>
  /** Milliseconds from now after which the last error is thrown. */
  readonly deadlineMs: number
  readonly signal?: AbortSignal | undefined
}

/** Delay before retry number `retry` (from 0): exponential, the upper half of it by chance. */
export function retryDelayMs(
  { clock, limits }: Omit<Patience, 'deadlineMs'>,
  retry: number,
): number {
  const grown = Math.min(limits.retryMaxMs, limits.retryMinMs * 2 ** Math.min(retry, 30))
  return grown * (0.5 + clock.random() / 2)
}

/** Runs `attempt` again for as long as it rejects with a retriable error; at the deadline that error is thrown. */
export async function withPatience<T>(
  patience: Patience,
  attempt: (leftMs: number) => Promise<T>,
): Promise<T> {
  const { clock, signal } = patience
  const end = clock.monotonic() + patience.deadlineMs
  for (let retry = 0; ; retry += 1) {
    signal?.throwIfAborted()
    try {
      return await attempt(Math.max(1, end - clock.monotonic()))
    } catch (error) {
      const delayMs = retryDelayMs(patience, retry)
      if (!isRetriable(error) || clock.monotonic() + delayMs >= end) throw error
      await sleep(clock, delayMs, signal)
    }
  }
}

/** Whether trying again may help. */
export function isRetriable(error: unknown): error is TransportError {
  return error instanceof TransportError && error.kind === 'retriable'
}
