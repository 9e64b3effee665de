/**
 * Annotation as an enrich step: one session a video, its chunks pushed in order into an annotator's
 * stream, each answered with its shots as soon as they are final (chunk-answers.ts). A session that
 * is opened again after a failure begins with the video's first chunk and gives equal answers.
 */
import { Annotation, type Chunk, type ChunkKey, type Shot } from '../schemas.ts'
import { asError, MillraceError } from '../../model/errors.ts'
import type { StreamRecord } from '../../model/record.ts'
import type {
  EnrichSession,
  PushedRecord,
  SessionEnricher,
  SessionStart,
} from '../../processors/enricher.ts'
import { avro } from '../../serdes/avro.ts'
import type { AnnotationStream, Annotator } from './annotator.ts'
import { ChunkAnswers } from './chunk-answers.ts'
import { AnnotatorError, classifyAnnotatorFailure } from './failure.ts'

/**
 * Annotates chunks of videos. Needs `orderBy: (key) => key.videoId`, which makes one session of each
 * video. Fails with the annotator's errors, and with MILLRACE_CHUNK_MISSING.
 */
export function annotate(annotator: Annotator): SessionEnricher<ChunkKey, Chunk, Annotation> {
  return {
    kind: 'session',
    open: (start) => openSession(annotator, start),
    isLast: ({ value }) => value.last,
    value: avro(Annotation),
    classify: classifyAnnotatorFailure,
  }
}

async function openSession(
  annotator: Annotator,
  { sessionKey, signal }: SessionStart,
): Promise<AnnotateSession> {
  const answers = new ChunkAnswers()
  const session = new AnnotateSession({ videoId: sessionKey, annotator: annotator.name, answers })
  const stream = await annotator.open({
    videoId: sessionKey,
    signal,
    onProgress: (progress) => {
      answers.report(progress)
      session.settle()
    },
  })
  session.begin(stream)
  return session
}

/** A chunk without its bytes: those are let go when they were taken, its answer may be long in coming. */
type ChunkFacts = Omit<Chunk, 'bytes'>

/** A chunk that waits for its answer. */
interface PendingChunk {
  readonly facts: ChunkFacts
  readonly resolve: (annotation: Annotation) => void
  readonly reject: (error: Error) => void
}

class AnnotateSession implements EnrichSession<ChunkKey, Chunk, Annotation> {
  readonly #videoId: string
  readonly #annotator: string
  readonly #answers: ChunkAnswers
  #stream: AnnotationStream | undefined
  /** Chunks that the stream has taken, in the order of `#answers`. */
  readonly #taken: PendingChunk[] = []
  /** Chunks whose turn to be written has not come or is not over. */
  readonly #writing = new Set<PendingChunk>()
  /** Ends when the last chunk that was pushed is written, or the session has failed. */
  #lastWrite: Promise<void> = Promise.resolve()
  /** Where the next chunk begins. */
  #nextOffset = 0
  #failure: Error | undefined

  constructor(parts: {
    readonly videoId: string
    readonly annotator: string
    readonly answers: ChunkAnswers
  }) {
    this.#videoId = parts.videoId
    this.#annotator = parts.annotator
    this.#answers = parts.answers
  }

  begin(stream: AnnotationStream): void {
    this.#stream = stream
    stream.done.then(
      () => {
        this.#answers.end()
        this.settle()
      },
      (error: unknown) => this.#fail(asError(error)),
    )
  }

  push({ value: chunk }: StreamRecord<ChunkKey, Chunk>): PushedRecord<Annotation> {
    const { promise: result, resolve, reject } = Promise.withResolvers<Annotation>()
    const { bytes, ...facts } = chunk
    const pending: PendingChunk = { facts, resolve, reject }
    this.#writing.add(pending)
    const taken = this.#lastWrite.then(() => this.#write(pending, bytes))
    this.#lastWrite = taken.catch(() => {})
    // The caller may look at either promise much later than it rejects.
    result.catch(() => {})
    return { taken, result }
  }

  async end(): Promise<void> {
    await this.#lastWrite
    if (this.#failure !== undefined) return
    this.#stream?.end()
    // A failure has rejected the results that were open; there is nothing to add.
    await this.#stream?.done.catch(() => {})
  }

  abort(reason: Error): void {
    this.#fail(reason)
  }

  /** Resolves the results that are complete. */
  settle(): void {
    while (this.#taken.length > 0) {
      const shots = this.#answers.take()
      if (shots === undefined) return
      const pending = this.#taken.shift()
      pending?.resolve(this.#annotation(pending.facts, shots))
    }
  }

  async #write(pending: PendingChunk, bytes: Buffer): Promise<void> {
    const { facts } = pending
    try {
      if (this.#failure !== undefined) throw this.#failure
      this.#check(facts)
      // A chunk that a producer has sent twice is answered twice, but is in the video once.
      if (facts.offset === this.#nextOffset) {
        this.#nextOffset += bytes.length
        await this.#stream?.write(bytes)
      }
    } catch (error) {
      this.#fail(asError(error))
      // One that came after the failure was not there when the others were rejected.
      pending.reject(asError(error))
      throw error
    } finally {
      this.#writing.delete(pending)
    }
    this.#taken.push(pending)
    this.#answers.add(facts)
    this.settle()
  }

  #check({ videoId, offset }: ChunkFacts): void {
    if (videoId !== this.#videoId) {
      throw new AnnotatorError(
        'misconfigured',
        `A chunk of video ${videoId} came into the session of ${this.#videoId}: ` +
          'give the enrich step that annotates the option orderBy: (key) => key.videoId.',
        { place: `video ${videoId}` },
      )
    }
    if (offset <= this.#nextOffset) return
    throw new MillraceError(
      'MILLRACE_CHUNK_MISSING',
      `Video ${videoId} goes on at byte ${offset}, but only its bytes up to ${this.#nextOffset} came before: ` +
        'a chunk is missing or out of order. Ingest the video again under another id.',
      { place: `video ${videoId} at byte ${this.#nextOffset}`, remedy: 'skip' },
    )
  }

  #fail(error: Error): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    this.#stream?.abort(error)
    for (const { reject } of [...this.#taken, ...this.#writing]) reject(error)
    this.#taken.length = 0
    this.#writing.clear()
  }

  #annotation(
    { videoId, offset, index, last, startUs, endUs, container }: ChunkFacts,
    shots: readonly Shot[],
  ): Annotation {
    const facts = { videoId, offset, index, last, startUs, endUs, container }
    return { ...facts, annotator: this.#annotator, status: 'complete', shots: [...shots] }
  }
}
