/**
 * Failures on demand: each documented failure of the real service, produced by the local server, so
 * that a pipeline can be seen to survive them before it meets them.
 */

/** What the local server shall do wrong. Without `error` it fails nothing. */
export interface Rehearsal {
  /**
   * How streams fail: `in-band`, an error inside a response while the stream itself ends well;
   * `status`, an error as the stream's status; `resource-exhausted`, the status of a used-up quota;
   * `die`, the connection is gone, as when the server's process is killed.
   */
  readonly error?: 'in-band' | 'status' | 'resource-exhausted' | 'die'
  /** The gRPC code of `in-band` and `status`. Default 14, UNAVAILABLE. */
  readonly code?: number
  /** How much content a stream takes before it fails. Default 0: it fails at its first content. */
  readonly failAfterBytes?: number
  /** How many streams fail before the server behaves. Default 1. */
  readonly times?: number
  /** How long each answer is held back. Default 0. */
  readonly latencyMs?: number
  /** Streams at a time; more are refused with RESOURCE_EXHAUSTED. Default: no limit. */
  readonly maxStreams?: number
}

/** The ways to fail. */
export type RehearsedError = NonNullable<Rehearsal['error']>

/** Counts a server's failures and decides about the next. */
export class RehearsalPlan {
  readonly latencyMs: number
  readonly code: number
  readonly #rehearsal: Rehearsal
  #left: number

  constructor(rehearsal: Rehearsal) {
    this.#rehearsal = rehearsal
    this.#left = rehearsal.times ?? 1
    this.latencyMs = rehearsal.latencyMs ?? 0
    this.code = rehearsal.code ?? DEFAULT_CODE
  }

  /** Whether one more stream may be opened beside `open` others. */
  admits(open: number): boolean {
    return open < (this.#rehearsal.maxStreams ?? Number.POSITIVE_INFINITY)
  }

  /** How a stream fails that has taken `bytes` of content; undefined where it shall go on. Counts as one failure. */
  failureAfter(bytes: number): RehearsedError | undefined {
    const { error, failAfterBytes = 0 } = this.#rehearsal
    if (error === undefined || this.#left <= 0 || bytes <= failAfterBytes) return undefined
    this.#left -= 1
    return error
  }
}

const DEFAULT_CODE = 14
