/**
 * What goes wrong at an annotator, and what to do about it. A service reports a failure in one of two
 * channels, the status of the stream or an error inside a response, with the same codes; both end up
 * here, in one table, so that neither can be treated better than the other.
 */
import { MillraceError, type ErrorDetails, type Remedy } from '../../model/errors.ts'
import type { FailureClass } from '../../processors/enricher.ts'

/** The codes of gRPC that this project names itself. */
export const STATUS = {
  ok: 0,
  invalidArgument: 3,
  resourceExhausted: 8,
  failedPrecondition: 9,
  unavailable: 14,
} as const

/** An annotator that failed. `failure` says whether to try again, to give up this video, or to stop. */
export class AnnotatorError extends MillraceError {
  override readonly name = 'AnnotatorError'
  readonly failure: FailureClass
  /** The service's own code (gRPC), where it gave one. */
  readonly status: number | undefined

  constructor(kind: FailureKind, message: string, details: AnnotatorErrorDetails = {}) {
    const { code, failure } = KINDS[kind]
    super(code, message, { ...details, remedy: REMEDIES[failure] })
    this.failure = failure
    this.status = details.status
  }
}

/** What an annotator's error carries besides its message. */
export interface AnnotatorErrorDetails extends Omit<ErrorDetails, 'remedy'> {
  readonly status?: number
}

/** What a service said, in either of its two channels. */
export interface ServiceFailure {
  /** The code of gRPC. */
  readonly status: number
  readonly message: string
  readonly annotator: string
  readonly videoId: string
  readonly cause?: unknown
}

/** The error for what a service said. */
export function serviceError(said: ServiceFailure): AnnotatorError {
  const meaning = meaningOf(said)
  const { next } = KINDS[meaning.kind]
  return new AnnotatorError(
    meaning.kind,
    `The annotator ${said.annotator} failed on video ${said.videoId} with ${meaning.name} (${said.status}): ` +
      `${reasonOf(said.message)}. ${next}`,
    { place: `video ${said.videoId}`, status: said.status, cause: said.cause },
  )
}

/** Sorts whatever an annotator threw; what nobody classified may pass. */
export function classifyAnnotatorFailure(error: Error): FailureClass {
  if (error instanceof AnnotatorError) return error.failure
  if (!(error instanceof MillraceError)) return 'retry'
  return CLASSES[error.remedy]
}

/** What a service said, to be quoted in a sentence: without the status that the library puts in front, and without a full stop. */
export function reasonOf(message: string): string {
  const reason = message.replace(/^\d+ [A-Z_]+: /, '').replace(/[.\s]+$/, '')
  return reason === '' ? 'it gave no reason' : reason
}

/** The kinds of failure; each is one public code. */
export type FailureKind = keyof typeof KINDS

const KINDS = {
  unavailable: {
    code: 'MILLRACE_ANNOTATOR_UNAVAILABLE',
    failure: 'retry',
    next: 'It is tried again; if that goes on, look whether the service is up and can be reached.',
  },
  overQuota: {
    code: 'MILLRACE_ANNOTATOR_OVER_QUOTA',
    failure: 'retry',
    next: 'It is tried again later; lower the number of sessions, or ask for a larger quota.',
  },
  tooLate: {
    code: 'MILLRACE_ANNOTATOR_TOO_LATE',
    failure: 'retry',
    next: 'It is tried again; for long videos raise deadlineMs.',
  },
  rejected: {
    code: 'MILLRACE_ANNOTATOR_REJECTED',
    failure: 'reject',
    next: 'This video will not succeed; the policy for failed records decides what becomes of it.',
  },
  denied: {
    code: 'MILLRACE_ANNOTATOR_DENIED',
    failure: 'stop',
    next: 'Check the credentials and their rights, then start again.',
  },
  misconfigured: {
    code: 'MILLRACE_ANNOTATOR_MISCONFIGURED',
    failure: 'stop',
    next: 'Check the endpoint and the options of the annotator, then start again.',
  },
} as const satisfies Record<
  string,
  { readonly code: `MILLRACE_${string}`; readonly failure: FailureClass; readonly next: string }
>

interface StatusMeaning {
  readonly name: string
  readonly kind: FailureKind
}

/** By gRPC code. OK stands here because a stream that ends well before its time has failed too. */
const STATUSES: readonly StatusMeaning[] = [
  { name: 'OK', kind: 'unavailable' },
  { name: 'CANCELLED', kind: 'unavailable' },
  { name: 'UNKNOWN', kind: 'unavailable' },
  { name: 'INVALID_ARGUMENT', kind: 'rejected' },
  { name: 'DEADLINE_EXCEEDED', kind: 'tooLate' },
  { name: 'NOT_FOUND', kind: 'misconfigured' },
  { name: 'ALREADY_EXISTS', kind: 'rejected' },
  { name: 'PERMISSION_DENIED', kind: 'denied' },
  { name: 'RESOURCE_EXHAUSTED', kind: 'overQuota' },
  { name: 'FAILED_PRECONDITION', kind: 'misconfigured' },
  { name: 'ABORTED', kind: 'unavailable' },
  { name: 'OUT_OF_RANGE', kind: 'rejected' },
  { name: 'UNIMPLEMENTED', kind: 'misconfigured' },
  { name: 'INTERNAL', kind: 'unavailable' },
  { name: 'UNAVAILABLE', kind: 'unavailable' },
  { name: 'DATA_LOSS', kind: 'unavailable' },
  { name: 'UNAUTHENTICATED', kind: 'denied' },
]

const UNKNOWN_STATUS: StatusMeaning = { name: 'an unknown status', kind: 'unavailable' }

/** A server that does not take messages of our size says RESOURCE_EXHAUSTED, as for a quota; trying again would never help. */
const MESSAGE_TOO_LARGE = /message larger than max/i

function meaningOf({ status, message }: ServiceFailure): StatusMeaning {
  const meaning = STATUSES[status] ?? UNKNOWN_STATUS
  if (meaning.kind !== 'overQuota' || !MESSAGE_TOO_LARGE.test(message)) return meaning
  return { name: meaning.name, kind: 'misconfigured' }
}

const REMEDIES: Readonly<Record<FailureClass, Remedy>> = {
  retry: 'retry',
  reject: 'skip',
  stop: 'stop',
}

const CLASSES: Readonly<Record<Remedy, FailureClass>> = {
  retry: 'retry',
  rewind: 'retry',
  skip: 'reject',
  stop: 'stop',
}
