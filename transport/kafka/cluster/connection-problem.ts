/** Why a connection failed, in words with a remedy: from what the socket, TLS or SASL says. */
import { asError } from '../../../model/errors.ts'
import { TransportError } from '../../errors.ts'
import {
  authenticationFailed,
  brokerUnreachable,
  describeAddress,
  tlsFailed,
  type Address,
} from '../kafka-errors.ts'
import type { KafkaSasl, KafkaTls } from '../options/security.ts'

/** What is asked of the connection that failed. */
export interface Asked {
  readonly tls: KafkaTls | undefined
  readonly sasl: KafkaSasl | undefined
  /** Whether TLS was still being agreed on. */
  readonly isSecuring?: boolean
}

/** The error for a connection that ended; without `error` the broker closed it without a word. */
export function connectionProblem(
  at: Address,
  asked: Asked,
  error: (Error & { readonly code?: unknown }) | undefined,
): TransportError {
  if (error === undefined) {
    return asked.isSecuring === true ? notYetSecure(at) : brokerUnreachable(at, closed(asked))
  }
  // It says already what it is about, which need not be the broker: the supply of tokens, for instance.
  if (error instanceof TransportError) return error
  if (error.name === 'KafkaJSSASLAuthenticationError' || error.name.includes('SASL')) {
    return authenticationFailed(at, { user: userOf(asked.sasl), cause: error })
  }
  const code = typeof error.code === 'string' ? error.code : ''
  const untrusted = CERTIFICATE[code]
  if (untrusted !== undefined) return tlsFailed(at, untrusted, error)
  if (/^(ERR_SSL|ERR_TLS|EPROTO)/.test(code)) {
    const why = /wrong version number|packet length/i.test(error.message)
      ? NO_TLS
      : `${error.message}. Check the certificates and keys of both sides`
    return tlsFailed(at, why, error)
  }
  const isReset = asked.isSecuring === true && code === 'ECONNRESET'
  if (isReset || error.message.includes('before secure TLS')) return notYetSecure(at, error)
  return brokerUnreachable(at, NETWORK[code] ?? error.message, error)
}

function userOf(sasl: KafkaSasl | undefined): string | undefined {
  return sasl === undefined || sasl.mechanism === 'OAUTHBEARER' ? undefined : sasl.username
}

/** The error where a token for a broker could not be had; one of the log port's own goes through as it is. */
export function tokenProblem(at: Address, error: unknown): TransportError {
  if (error instanceof TransportError) return error
  const place = describeAddress(at)
  return new TransportError('MILLRACE_KAFKA_AUTHENTICATION', 'retriable', {
    message: `No token for broker ${place}: ${asError(error).message}. This is what the token function of sasl says, which is asked again; see there.`,
    place,
    cause: error,
  })
}

/** The cause of an error for a connection that was closed while TLS was being agreed on. */
export class ClosedBeforeTls extends Error {
  override readonly name = 'ClosedBeforeTls'
}

function notYetSecure(at: Address, error?: Error): TransportError {
  return brokerUnreachable(
    at,
    NOT_YET_SECURE,
    new ClosedBeforeTls(NOT_YET_SECURE, { cause: error }),
  )
}

function closed({ tls, sasl }: Asked): string {
  const also = sasl === undefined ? ', as one does that wants SASL or TLS' : ''
  return `it closed the connection${tls === undefined ? also : ''}`
}

const NO_TLS = 'it speaks no TLS on this port. Use a port with TLS, or leave TLS out'
// A broker that is being stopped does the same: no reason to give up for good.
const NOT_YET_SECURE = 'it closed the connection before TLS was agreed on'
const AUTHORITY =
  'nobody whom this side trusts signed its certificate. Name the authority in tls.ca'
const CERTIFICATE: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: AUTHORITY,
  SELF_SIGNED_CERT_IN_CHAIN: AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT: AUTHORITY,
  CERT_HAS_EXPIRED: 'its certificate has expired. Renew it, or set this clock',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet. Set this clock',
  ERR_TLS_CERT_ALTNAME_INVALID:
    'its certificate is for another name. Use the name it bears as the address, or give it in tls.serverName',
}

const NETWORK: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ECONNRESET: 'it reset the connection',
  ENOTFOUND: 'there is no host of that name',
  EAI_AGAIN: 'the name of the host cannot be looked up just now',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no way to that network',
  ETIMEDOUT: 'it does not answer',
  EPIPE: 'it closed the connection',
}
