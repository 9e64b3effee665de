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
const ANSWER_DEADLINE_MS = 10_000

/** A function that gives a token which is still good for a while. It rejects with MILLRACE_KAFKA_AUTHENTICATION. */
export function clientCredentials(credentials: ClientCredentials): () => Promise<string> {
  const { clock } = credentials
  let kept: { readonly token: string; readonly untilMs: number } | undefined
  return async () => {
    if (kept === undefined || clock.monotonic() >= kept.untilMs) {
      const { token, lifeMs } = await askForToken(credentials)
      kept = { token, untilMs: clock.monotonic() + lifeMs * RENEW_AFTER }
    }
    return kept.token
  }
}

async function askForToken({
  url,
  clientId,
  clientSecret,
  scope,
  clock,
}: ClientCredentials): Promise<{ readonly token: string; readonly lifeMs: number }> {
  const deadline = new AbortController()
  const timer = clock.timer(ANSWER_DEADLINE_MS, () =>
    deadline.abort(new Error(`no answer within ${ANSWER_DEADLINE_MS} ms`)),
  )
  try {
    const pair = Buffer.from(`${clientId}:${clientSecret}`).toString('base64')
    const grant = { grant_type: 'client_credentials', ...(scope === undefined ? {} : { scope }) }
    const answer = await fetch(url, {
      method: 'POST',
      headers: { authorization: `Basic ${pair}`, accept: 'application/json' },
      body: new URLSearchParams(grant),
      signal: deadline.signal,
    })
    if (!answer.ok) throw new Error(`it answers ${answer.status}`)
    return tokenIn(await answer.json())
  } catch (error) {
    throw new TransportError('MILLRACE_KAFKA_AUTHENTICATION', 'retriable', {
      message: `No token from ${url}: ${asError(error).message}. Check sasl.oauthbearer.token.endpoint.url, clientId and clientSecret.`,
      place: url,
      cause: error,
    })
  } finally {
    timer.cancel()
  }
}

function tokenIn(answer: unknown): { readonly token: string; readonly lifeMs: number } {
  const { access_token: token, expires_in: life } = answer as Record<string, unknown>
  if (typeof token !== 'string' || token === '') throw new Error('its answer has no access_token')
  return { token, lifeMs: typeof life === 'number' ? life * 1000 : DEFAULT_LIFE_MS }
}
