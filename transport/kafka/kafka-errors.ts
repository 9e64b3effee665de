/** The errors of the Kafka adapter that no other log has: connections, versions, rights. */
import { TransportError } from '../errors.ts'

/** Where a broker listens. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** `host:port`, with the brackets that an IPv6 address needs. */
export function describeAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** No connection to a broker, or it broke. */
export function brokerUnreachable(at: Address, why: string, cause?: unknown): TransportError {
  const place = describeAddress(at)
  return new TransportError('MILLRACE_KAFKA_UNREACHABLE', 'retriable', {
    message: `Broker ${place} cannot be reached: ${why}. Check that it runs, that its address and advertised.listeners are right from this machine, and whether it wants TLS or SASL.`,
    place,
    cause,
  })
}

/** No authenticated connection to a broker in the time that there was. */
export function noConnection(at: Address, elapsedMs: number): TransportError {
  return brokerUnreachable(at, `no connection within ${Math.round(elapsedMs)} ms`)
}

/** None of the addresses that are known leads to the cluster. */
export function clusterUnreachable(tried: readonly Error[]): TransportError {
  return new TransportError('MILLRACE_KAFKA_UNREACHABLE', 'retriable', {
    message: `No broker of the cluster can be reached. ${reasonsOf(tried)} Check the addresses, that the brokers run, and whether they want TLS or SASL.`,
    cause: new AggregateError(tried, 'every address was tried'),
  })
}

/** None of the addresses that the cluster gives its clients leads to it, while `answering` does. */
export function advertisedUnreachable(answering: Address, tried: readonly Error[]): TransportError {
  const place = describeAddress(answering)
  return new TransportError('MILLRACE_KAFKA_UNREACHABLE', 'retriable', {
    message: `The cluster answers at ${place}, and sends its clients on to addresses that lead nowhere from this machine. ${reasonsOf(tried)} Set advertised.listeners of the brokers to addresses that this machine can reach, or name the port of a listener that has such addresses.`,
    place,
    cause: new AggregateError(tried, 'every advertised address was tried'),
  })
}

/** A broker of the cluster whose address is not known. */
export function unknownNode(node: number): TransportError {
  return new TransportError('MILLRACE_KAFKA_UNREACHABLE', 'retriable', {
    message: `Broker ${node} is not among the brokers of the cluster just now. It is looked for again; check that it runs.`,
    place: `broker ${node}`,
  })
}

/** A request whose answer did not come in time; the connection is given up with it. */
export function requestTimedOut(at: Address, api: string, deadlineMs: number): TransportError {
  const place = describeAddress(at)
  return new TransportError('MILLRACE_KAFKA_TIMED_OUT', 'retriable', {
    message: `Broker ${place} did not answer ${api} within ${deadlineMs} ms. It is tried again; if this goes on, look at the broker's load and at the way to it.`,
    place,
  })
}

/** No broker has answered a question for any of them in the time that there was. */
export function noAnswer(api: string, deadlineMs: number): TransportError {
  return new TransportError('MILLRACE_KAFKA_TIMED_OUT', 'retriable', {
    message: `No broker of the cluster has answered ${api} within ${Math.round(deadlineMs)} ms. It is tried again; if this goes on, look at the brokers' load and at the way to them.`,
    place: 'any broker',
  })
}

/** TLS that the two sides do not agree on. */
export function tlsFailed(at: Address, why: string, cause?: unknown): TransportError {
  const place = describeAddress(at)
  return new TransportError('MILLRACE_KAFKA_TLS', 'fatal', {
    message: `No TLS with broker ${place}: ${why}.`,
    place,
    cause,
    isAccess: true,
  })
}

/** Credentials that the broker does not accept, or a mechanism that it does not know. */
export function authenticationFailed(
  at: Address,
  { user, cause }: { readonly user: string | undefined; readonly cause: Error },
): TransportError {
  const place = describeAddress(at)
  const who = user === undefined ? 'who we are' : `the user ${user}`
  const why = cause.message.replace(/\.$/, '')
  return new TransportError('MILLRACE_KAFKA_AUTHENTICATION', 'fatal', {
    message: `Broker ${place} does not accept ${who}: ${why}. Check mechanism, user name and password or token.`,
    place,
    cause,
    isAccess: true,
  })
}

/** A request that the broker knows in other versions only. */
export function unsupportedVersion(
  at: Address,
  api: string,
  { ours, theirs }: { readonly ours: string; readonly theirs: string },
): TransportError {
  const place = describeAddress(at)
  return new TransportError('MILLRACE_KAFKA_UNSUPPORTED_VERSION', 'fatal', {
    message: `Broker ${place} speaks ${api} in ${theirs}, and ${ours} is needed. Use Kafka 3.6 or later, 3.9 and 4.1 are tested.`,
    place,
  })
}

/** Bytes that are no response to what was asked. */
export function badResponse(at: Address, why: string, cause?: unknown): TransportError {
  const place = describeAddress(at)
  return new TransportError('MILLRACE_KAFKA_BAD_RESPONSE', 'fatal', {
    message: `What answers at ${place} is not Kafka as we know it: ${why}. Check the address, and whether that port wants TLS.`,
    place,
    cause,
  })
}

/** What became of each address, once each. */
function reasonsOf(tried: readonly Error[]): string {
  return [...new Set(tried.map(({ message }) => message.replace(/ Check that .*$/, '')))].join(' ')
}
