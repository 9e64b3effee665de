/**
 * The settings of brokers that matter to large records, beside those of topics. Of the five places
 * where 10 MiB can get stuck three are the brokers': what a request may hold (which stops everything),
 * what topics take that do not say it themselves, and what replicas fetch at a time (which slows them).
 */
import type { BrokerSettings } from '../transport/kafka/options/broker-settings.ts'
import { brokersLine, type CommandStyle } from './topic-commands.ts'

const LARGEST_REQUEST = 'socket.request.max.bytes'
const LARGEST_MESSAGE = 'message.max.bytes'
const REPLICA_FETCH = 'replica.fetch.max.bytes'

/** What is asked of brokers. */
export const BROKER_SETTINGS: readonly string[] = [LARGEST_REQUEST, LARGEST_MESSAGE, REPLICA_FETCH]

/** What topics take at most that do not say it: the least of the brokers. Undefined where none of them shows it. */
export function usualLimit(brokers: readonly BrokerSettings[]): number | undefined {
  const limits = brokers.flatMap(({ settings }) => settings?.get(LARGEST_MESSAGE) ?? [])
  return limits.length === 0 ? undefined : Math.min(...limits.map(Number))
}

/** Beside its records a request holds names and numbers: far less than this. */
const REQUEST_HEADROOM_BYTES = 64 * 1024

/** Something to know about a broker. */
export interface BrokerAdvice {
  readonly says: string
  /** Whether records get stuck. Otherwise it is only good to know. */
  readonly isWrong: boolean
}

/** What to say about brokers that get records of up to `recordBytes`, as topics are limited (max.message.bytes). */
export function brokerAdvice(
  brokers: readonly BrokerSettings[],
  recordBytes: number,
  style: CommandStyle,
): readonly BrokerAdvice[] {
  return brokers.flatMap(({ node, settings }) => {
    if (settings === undefined) {
      const says = `the limits of broker ${node} are not shown to this user (DescribeConfigs on the cluster shows them)`
      return [{ says, isWrong: false }]
    }
    const needed = recordBytes + REQUEST_HEADROOM_BYTES
    return [
      tooSmall(settings, [LARGEST_REQUEST, needed], (has) => ({
        says: `broker ${node} closes connections that bring more than ${has} bytes at a time: set ${LARGEST_REQUEST}=${needed} in its server.properties and start it again`,
        isWrong: true,
      })),
      tooSmall(settings, [LARGEST_MESSAGE, recordBytes], (has) => ({
        says: `${LARGEST_MESSAGE} of broker ${node} is ${has}: topics with a max.message.bytes of their own, as above, are not bound by it; for others: ${brokersLine({ [LARGEST_MESSAGE]: String(recordBytes) }, style)}`,
        isWrong: false,
      })),
      tooSmall(settings, [REPLICA_FETCH, recordBytes], (has) => ({
        says: `${REPLICA_FETCH} of broker ${node} is ${has}: where topics have several copies, larger records are copied one at a time; set ${REPLICA_FETCH}=${recordBytes} in its server.properties`,
        isWrong: false,
      })),
    ].filter((advice) => advice !== undefined)
  })
}

function tooSmall(
  settings: ReadonlyMap<string, string>,
  [name, needed]: readonly [string, number],
  advise: (has: number) => BrokerAdvice,
): BrokerAdvice | undefined {
  const has = Number(settings.get(name) ?? Number.NaN)
  return has < needed ? advise(has) : undefined
}
