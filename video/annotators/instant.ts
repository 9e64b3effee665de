/**
 * The annotator that looks at nothing: every byte is final as soon as it was taken, and no video has
 * a shot. For benchmarks, where the pipeline is measured and not a decoder, and for tests of what
 * stands around annotators.
 */
import type { AnnotationStream, Annotator, VideoStart } from './annotator.ts'
import { StreamOutcome } from './stream-outcome.ts'

/** An annotator that answers at once, with no shots. */
export function instant(): Annotator {
  return {
    name: 'instant',
    open: async (video) => {
      video.signal.throwIfAborted()
      return new InstantStream(video)
    },
  }
}

class InstantStream implements AnnotationStream {
  readonly done: Promise<void>
  readonly #outcome: StreamOutcome
  readonly #video: VideoStart
  #reported = false

  constructor(video: VideoStart) {
    this.#video = video
    const onAbort = (): void => this.abort(video.signal.reason as Error)
    video.signal.addEventListener('abort', onAbort, { once: true })
    this.#outcome = new StreamOutcome(() => video.signal.removeEventListener('abort', onAbort))
    this.done = this.#outcome.done
  }

  async write(_bytes: Buffer): Promise<void> {
    await this.#outcome.step((resolve) => resolve())
    this.#report()
  }

  end(): void {
    this.#report()
    this.#outcome.succeed()
  }

  abort(reason: Error): void {
    this.#outcome.fail(reason)
  }

  #report(): void {
    if (this.#reported) return
    this.#reported = true
    this.#video.onProgress({ shots: [], finalUs: Number.POSITIVE_INFINITY })
  }
}
