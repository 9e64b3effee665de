/**
 * Tokens for OAUTHBEARER by the client credentials grant (RFC 6749, section 4.4): one is kept until
 * four fifths of its life are over, as Kafka's own client does it.
 */
import type { Clock } from '../../../model/clock.ts'
import { asError } from '../../../model/errors.ts'
import { TransportError } from '../../errors.ts'

/** Who asks, and where. */
export interface ClientCredentials {
  /** The token endpoint. */
  readonly url: string
  readonly clientId: string
  readonly clientSecret: string
  readonly scope?: string | undefined
  readonly clock: Clock
}

/** Of its life after which a token is asked for anew. */
const RENEW_AFTER = 0.8
/** Where the answer does not say how long a token lives. */
const DEFAULT_LIFE_MS = 300_000
/** Below `limits.connectDeadlineMs`, or the broker would be named for what the endpoint does not do. */
const ANSWER_DEADLINE_MS = 5_000
/** What the endpoint answers to credentials that it will not take the next time either (RFC 6749, section 5.2). */
const DENIED: ReadonlySet<number> = new Set([400, 401, 403])

interface Token {
  readonly token: string
  readonly lifeMs: number
}

/**
 * A function that gives a token which is still good for a while. It rejects with
 * MILLRACE_KAFKA_AUTHENTICATION: fatal where the endpoint denies the client, retriable where it cannot
 * be reached, answers too late or has trouble of its own.
 */
export function clientCredentials(credentials: ClientCredentials): () => Promise<string> {
  const { clock } = credentials
  let kept: { readonly token: string; readonly untilMs: number } | undefined
  let asking: Promise<Token> | undefined
  return async () => {
    if (kept !== undefined && clock.monotonic() < kept.untilMs) return kept.token
    // Connections to all brokers are opened at the same time: they share one question.
    asking ??= askForToken(credentials).finally(() => (asking = undefined))
    const { token, lifeMs } = await asking
    kept = { token, untilMs: clock.monotonic() + lifeMs * RENEW_AFTER }
    return token
  }
}

async function askForToken(credentials: ClientCredentials): Promise<Token> {
  const { url, clock } = credentials
  const deadline = new AbortController()
  const late = new Error(`no answer within ${ANSWER_DEADLINE_MS} ms`)
  const timer = clock.timer(ANSWER_DEADLINE_MS, () => deadline.abort(late))
  try {
    const answer = await fetch(url, { ...requestOf(credentials), signal: deadline.signal })
    if (!answer.ok) throw refusal(url, answer.status, await reasonIn(answer))
    return tokenIn(await answer.json())
  } catch (error) {
    throw error instanceof TransportError ? error : noToken(url, error)
  } finally {
    timer.cancel()
  }
}

function requestOf({ clientId, clientSecret, scope }: ClientCredentials): RequestInit {
  const pair = Buffer.from(`${clientId}:${clientSecret}`).toString('base64')
  const grant = { grant_type: 'client_credentials', ...(scope === undefined ? {} : { scope }) }
  return {
    method: 'POST',
    headers: { authorization: `Basic ${pair}`, accept: 'application/json' },
    body: new URLSearchParams(grant),
  }
}

function refusal(url: string, status: number, reason: string): TransportError {
  if (!DENIED.has(status)) return noToken(url, new Error(`it answers ${status}${reason}`))
  return new TransportError('MILLRACE_KAFKA_AUTHENTICATION', 'fatal', {
    message: `The token endpoint ${url} denies a token to this client: it answers ${status}${reason}. Check clientId, clientSecret and scope in sasl.jaas.config, and sasl.oauthbearer.token.endpoint.url.`,
    place: url,
    isAccess: true,
  })
}

function noToken(url: string, cause: unknown): TransportError {
  return new TransportError('MILLRACE_KAFKA_AUTHENTICATION', 'retriable', {
    message: `No token from the token endpoint ${url}: ${whyOf(cause)}. It is tried again; check that the endpoint runs, and sasl.oauthbearer.token.endpoint.url.`,
    place: url,
    cause,
  })
}

/** What a failed fetch was for stands in its cause. */
function whyOf(error: unknown): string {
  const { message, cause } = asError(error)
  return cause instanceof Error ? `${message} (${cause.message})` : message
}

/** The error code that the answer names, in brackets; nothing where it is none of RFC 6749. */
async function reasonIn(answer: Response): Promise<string> {
  try {
    const { error } = (await answer.json()) as { readonly error?: unknown }
    return typeof error === 'string' && /^[\w.-]{1,100}$/.test(error) ? ` (${error})` : ''
  } catch {
    return ''
  }
}

function tokenIn(answer: unknown): Token {
  const { access_token: token, expires_in: life } = answer as Record<string, unknown>
  if (typeof token !== 'string' || token === '') throw new Error('its answer has no access_token')
  return { token, lifeMs: typeof life === 'number' ? life * 1000 : DEFAULT_LIFE_MS }
}
