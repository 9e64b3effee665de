/**
 * One call to the annotator server: Google's messages on one side, an annotator's stream on the
 * other. A call reads its next message only when the annotator has taken the last one, so that a
 * slow decoder slows the sender; after a failure it reads on and drops what it reads, because a
 * sender in the middle of a message would otherwise never see the answer.
 */
import type { Clock } from '../../model/clock.ts'
import { sleep } from '../../model/clock.ts'
import { asError } from '../../model/errors.ts'
import type { AnnotationStream, Annotator } from './annotator.ts'
import { classifyAnnotatorFailure, STATUS } from './failure.ts'
import {
  SHOT_CHANGE_DETECTION,
  segmentOf,
  type StreamingAnswer,
  type StreamingRequest,
} from './google-messages.ts'
import type { RehearsalPlan } from './rehearsal.ts'

/** What a call needs of the gRPC library. */
export interface ServerCall {
  on(event: 'data', listener: (request: StreamingRequest) => void): unknown
  on(event: 'end' | 'cancelled', listener: () => void): unknown
  pause(): unknown
  resume(): unknown
  write(answer: StreamingAnswer): unknown
  end(): unknown
  /** Ends the call with a status. */
  emit(event: 'error', status: { readonly code: number; readonly details: string }): unknown
}

/** What a call is made of. */
export interface CallParts {
  readonly call: ServerCall
  /** For messages: the protocol does not say whose video it is. */
  readonly streamName: string
  readonly annotator: Annotator
  readonly rehearsal: RehearsalPlan
  readonly clock: Clock
  /** Destroys the connection that the call came by. */
  readonly killConnection: () => void
}

/** A call from its first message to its status. */
export class AnnotatorCall {
  /** Resolves when the call is over and nothing works for it any more. Never rejects. */
  readonly gone: Promise<void>
  readonly #parts: CallParts
  readonly #abort = new AbortController()
  #stream: AnnotationStream | undefined
  #contentBytes = 0
  #isOver = false
  #over: () => void = () => {}
  /** Resolves when every answer so far has left. */
  #sent: Promise<unknown> = Promise.resolve()

  constructor(parts: CallParts) {
    this.#parts = parts
    const over = new Promise<void>((resolve) => (this.#over = resolve))
    this.gone = over.then(() => this.#stream?.done).catch(() => {})
    const { call } = parts
    call.on('data', (request) => {
      call.pause()
      this.#take(request).then(
        () => call.resume(),
        (error: unknown) => {
          this.#answerFailure(asError(error))
          call.resume()
        },
      )
    })
    call.on('end', () => this.#endInput())
    // Also fired after a call that ended well, when it changes nothing.
    call.on('cancelled', () => this.#drop(new Error('the call was cancelled')))
  }

  /** Ends the call with a status, if it is not over. */
  fail(code: number, details: string): void {
    if (this.#isOver) return
    this.#parts.call.emit('error', { code, details })
    this.#drop(new Error(details))
  }

  async #take({ feature, content }: StreamingRequest): Promise<void> {
    if (this.#isOver) return
    if (this.#stream === undefined) await this.#open(feature)
    else if (content === undefined) {
      this.fail(STATUS.invalidArgument, 'every message after the first must carry input_content')
    } else await this.#write(this.#stream, content)
  }

  async #open(feature: number | undefined): Promise<void> {
    if (feature !== SHOT_CHANGE_DETECTION) {
      const details = 'the first message must be a video_config for STREAMING_SHOT_CHANGE_DETECTION'
      this.fail(STATUS.invalidArgument, details)
      return
    }
    const stream = await this.#parts.annotator.open({
      videoId: this.#parts.streamName,
      signal: this.#abort.signal,
      onProgress: ({ shots }) => {
        if (shots.length > 0)
          this.#send({ annotationResults: { shotAnnotations: shots.map(segmentOf) } })
      },
    })
    this.#stream = stream
    stream.done.then(
      () => this.#finish(),
      (error: unknown) => this.#answerFailure(asError(error)),
    )
  }

  async #write(stream: AnnotationStream, content: Buffer): Promise<void> {
    this.#contentBytes += content.length
    const { rehearsal, killConnection } = this.#parts
    const failure = rehearsal.failureAfter(this.#contentBytes)
    switch (failure) {
      case undefined:
        await stream.write(content)
        break
      case 'in-band':
        this.#failInBand(rehearsal.code, 'a rehearsed failure')
        break
      case 'status':
        this.fail(rehearsal.code, 'a rehearsed failure')
        break
      case 'resource-exhausted':
        this.fail(STATUS.resourceExhausted, 'a rehearsed quota is used up')
        break
      case 'die':
        killConnection()
        this.#drop(new Error('a rehearsed death'))
        break
      default:
        failure satisfies never
    }
  }

  #endInput(): void {
    if (this.#isOver) return
    if (this.#stream === undefined) this.fail(STATUS.invalidArgument, 'no message came')
    else this.#stream.end()
  }

  #finish(): void {
    const { call } = this.#parts
    void this.#sent.then(() => {
      if (this.#isOver) return
      call.end()
      this.#drop(new Error('the call is over'))
    })
  }

  #answerFailure(error: Error): void {
    switch (classifyAnnotatorFailure(error)) {
      case 'reject':
        this.#failInBand(STATUS.invalidArgument, error.message)
        break
      case 'retry':
        this.fail(STATUS.unavailable, error.message)
        break
      case 'stop':
        this.fail(STATUS.failedPrecondition, error.message)
        break
    }
  }

  /** As the service does: the error is a response, and the stream ends well. */
  #failInBand(code: number, message: string): void {
    if (this.#isOver) return
    this.#parts.call.write({ error: { code, message } })
    this.#parts.call.end()
    this.#drop(new Error(message))
  }

  #send(answer: StreamingAnswer): void {
    const { call, rehearsal, clock } = this.#parts
    const write = (): void => {
      if (!this.#isOver) call.write(answer)
    }
    if (rehearsal.latencyMs === 0) {
      write()
      return
    }
    const waited = sleep(clock, rehearsal.latencyMs, this.#abort.signal)
    this.#sent = Promise.all([this.#sent, waited]).then(write, () => {})
  }

  #drop(reason: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#abort.abort(reason)
    this.#stream?.abort(reason)
    this.#over()
  }
}
