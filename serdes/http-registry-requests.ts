/**
 * Requests to a registry that is sometimes down. The addresses are gone through in turn, beginning
 * with the one that answered last; after a round without an answer there is a wait, which grows and is
 * drawn at random (full jitter), so that a thousand tasks that lost their registry do not come back as
 * one. Only what may pass by itself is tried again: a broken connection, a deadline, 408, 429 and 5xx.
 * Registering is among the requests: doing it twice gives the same id.
 */
import type { Clock } from '../model/clock.ts'
import { sleep } from '../model/clock.ts'
import { eitherSignal } from '../model/either-signal.ts'
import { asError } from '../model/errors.ts'
import { SerdeError } from './errors.ts'
import { shorten } from './excerpt.ts'
import type { RegistryAccess } from './http-registry-access.ts'
import { misconfigured } from './http-registry-access.ts'
import type { Answer, Asked } from './http-registry-answers.ts'
import { badAnswer, complaintOf } from './http-registry-answers.ts'
import type { HttpRegistryLimits } from './http-registry-limits.ts'

/** One request. */
export interface Question extends Asked {
  /** JSON. */
  readonly content?: unknown
  readonly signal: AbortSignal
  /** Whether an address that answers 404 is no reason not to ask the others, which may know more. */
  readonly everywhere?: boolean
}

/** What stands behind all requests of a client. */
export interface RequestParts {
  readonly access: RegistryAccess
  readonly clock: Clock
  readonly limits: HttpRegistryLimits
}

/** A request that may succeed when it is made again. */
class Failure {
  readonly address: string
  readonly reason: string
  readonly cause: unknown
  readonly retryAfterMs: number

  constructor(address: string, reason: string, more: { cause?: unknown; retryAfterMs?: number }) {
    this.address = address
    this.reason = reason
    this.cause = more.cause
    this.retryAfterMs = more.retryAfterMs ?? 0
  }
}

/** What a round over the addresses came to: an answer, or failures and perhaps a 404 besides. */
interface Round {
  readonly answer?: Answer | undefined
  readonly missing?: Answer | undefined
  readonly failures: readonly Failure[]
}

/** Asks one registry at its addresses. */
export class RegistryRequests {
  readonly #access: RegistryAccess
  readonly #clock: Clock
  readonly #limits: HttpRegistryLimits
  /** The address that answered last. */
  #first = 0

  constructor({ access, clock, limits }: RequestParts) {
    this.#access = access
    this.#clock = clock
    this.#limits = limits
  }

  /** The answer, of whatever status is none to try again. Rejects with MILLRACE_REGISTRY_UNREACHABLE, or the signal's reason. */
  async ask(question: Question): Promise<Answer> {
    const endMs = this.#clock.monotonic() + this.#limits.callDeadlineMs
    for (let rounds = 1; ; rounds++) {
      const { answer, missing, failures } = await this.#round(question, endMs)
      if (answer !== undefined) return answer
      const askedMs = Math.min(...failures.map(({ retryAfterMs }) => retryAfterMs))
      const waitMs = Math.max(this.#backoffMs(rounds), askedMs)
      const tooLong = askedMs > this.#limits.largestRetryAfterMs
      const isLast = rounds >= this.#limits.rounds
      if (isLast || tooLong || this.#clock.monotonic() + waitMs >= endMs) {
        if (missing !== undefined) return missing
        throw this.#unreachable(question, failures, rounds)
      }
      await sleep(this.#clock, waitMs, question.signal)
    }
  }

  async #round(question: Question, endMs: number): Promise<Round> {
    const { addresses } = this.#access
    const first = this.#first
    const failures: Failure[] = []
    let missing: Answer | undefined
    for (let i = 0; i < addresses.length; i++) {
      const index = (first + i) % addresses.length
      const address = addresses[index] as string
      const outcome = await this.#attempt(question, { address, endMs })
      if (outcome instanceof Failure) failures.push(outcome)
      else if (question.everywhere === true && outcome.status === 404) missing ??= outcome
      else {
        this.#first = index
        return { answer: outcome, failures }
      }
    }
    // Who could not be asked may have what the others lack.
    return failures.length === 0 ? { answer: missing, failures } : { missing, failures }
  }

  async #attempt(
    question: Question,
    { address, endMs }: { readonly address: string; readonly endMs: number },
  ): Promise<Answer | Failure> {
    const { signal } = question
    signal.throwIfAborted()
    const deadlineMs = Math.min(
      this.#limits.requestDeadlineMs,
      Math.max(0, endMs - this.#clock.monotonic()),
    )
    const deadline = new AbortController()
    const timer = this.#clock.timer(deadlineMs, () =>
      deadline.abort(new Error(`no answer within ${Math.round(deadlineMs)} ms`)),
    )
    using either = eitherSignal(signal, deadline.signal)
    try {
      return await this.#exchange(question, address, either.signal)
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof SerdeError) throw error
      const cause = asError(deadline.signal.aborted ? deadline.signal.reason : error)
      const reason = reasonOf(cause)
      if (CERTIFICATE_PROBLEM.test(reason)) throw badCertificate(address, reason, cause)
      return new Failure(address, reason, { cause })
    } finally {
      timer.cancel()
    }
  }

  async #exchange(
    question: Question,
    address: string,
    signal: AbortSignal,
  ): Promise<Answer | Failure> {
    const { method, path, content } = question
    const authorization = await this.#access.authorization(signal)
    const response = await fetch(`${address}${path}`, {
      method,
      redirect: 'manual',
      headers: {
        accept: 'application/vnd.schemaregistry.v1+json, application/json',
        ...(content === undefined ? {} : { 'content-type': CONTENT_TYPE }),
        ...(authorization === undefined ? {} : { authorization }),
      },
      ...(content === undefined ? {} : { body: JSON.stringify(content) }),
      signal,
    })
    const { status } = response
    const text = await textOf(response, this.#limits.answerBytes)
    const body = text === undefined ? undefined : jsonOf(text)
    if (status === 408 || status === 429 || status >= 500) {
      const { message } = complaintOf(body)
      const said = message === undefined ? '' : `: ${shorten(this.#access.hide(message), 200)}`
      const retryAfterMs = this.#retryAfterMs(response.headers.get('retry-after'))
      return new Failure(address, `it answered ${status}${said}`, { retryAfterMs })
    }
    if (text !== undefined) return { status, body, address }
    throw badAnswer(question, address, `more than ${this.#limits.answerBytes} bytes (answerBytes)`)
  }

  /** Seconds, or a date. */
  #retryAfterMs(header: string | null): number {
    if (header === null) return 0
    if (/^\d+$/.test(header)) return Number(header) * 1_000
    const dateMs = Date.parse(header)
    return Number.isNaN(dateMs) ? 0 : Math.max(0, dateMs - this.#clock.now())
  }

  /** Exponential with full jitter. */
  #backoffMs(rounds: number): number {
    const { firstBackoffMs, largestBackoffMs } = this.#limits
    return this.#clock.random() * Math.min(largestBackoffMs, firstBackoffMs * 2 ** (rounds - 1))
  }

  #unreachable(question: Question, failures: readonly Failure[], rounds: number): SerdeError {
    const addresses = failures.map(({ address, reason }) => `${address}: ${reason}`).join('; ')
    const waitMs = Math.min(...failures.map(({ retryAfterMs }) => retryAfterMs))
    const wait =
      waitMs > 0 ? `, and it asked to be left alone for ${Math.ceil(waitMs / 1_000)} s` : ''
    return new SerdeError(
      'MILLRACE_REGISTRY_UNREACHABLE',
      `cannot ${question.purpose}: no schema registry answered ${question.method} ${question.path} ` +
        `(tried ${rounds} times: ${addresses})${wait}. It is tried again; check that the registry ` +
        'runs and that this machine reaches it',
      {
        remedy: 'retry',
        place: this.#access.addresses.join(', '),
        cause: failures.at(-1)?.cause,
        schemaId: question.schemaId,
      },
    )
  }
}

const CONTENT_TYPE = 'application/vnd.schemaregistry.v1+json'
/** Node's and OpenSSL's names for a certificate that will not be better the next time. */
const CERTIFICATE_PROBLEM =
  /^(CERT_|ERR_TLS_CERT|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|.*SELF_SIGNED)/

function badCertificate(address: string, reason: string, cause: Error): SerdeError {
  return misconfigured(
    `the certificate of ${address} is not trusted (${reason}). Name your authority's certificate in ` +
      'NODE_EXTRA_CA_CERTS, or use the host name that the certificate is for',
    cause,
  )
}

/** fetch hides what happened behind `fetch failed`. */
function reasonOf(error: Error): string {
  const inner = error.cause instanceof Error ? error.cause : error
  const code = 'code' in inner && typeof inner.code === 'string' ? inner.code : ''
  const message = shorten(inner.message, 200)
  return code === '' || message.startsWith(code) ? message : `${code} ${message}`.trimEnd()
}

/** The answer's text, undefined where it is longer than `mostBytes`. */
async function textOf(response: Response, mostBytes: number): Promise<string | undefined> {
  if (response.body === null) return ''
  const parts: Uint8Array[] = []
  let bytes = 0
  // Its declaration says nothing of what comes; fetch gives bytes.
  for await (const part of response.body as AsyncIterable<Uint8Array>) {
    bytes += part.length
    // Leaving the loop cancels the rest.
    if (bytes > mostBytes) return undefined
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
