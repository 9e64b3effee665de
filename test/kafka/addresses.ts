import type { Address } from '../../transport/kafka/kafka-errors.ts'

/** `host:port` of each broker, apart. */
export function addressesOf(brokers: readonly string[]): readonly Address[] {
  return brokers.map((broker) => {
    const [host = '', port] = broker.split(':')
    return { host, port: Number(port) }
  })
}
