/**
 * The annotator that needs no service: ffmpeg decodes in a program of its own, and the cuts are found
 * here. It reports its progress exactly, by the first frame of the shot that is open.
 */
import { asError } from '../../model/errors.ts'
import { findFfmpeg } from '../ffmpeg.ts'
import type { Shot } from '../schemas.ts'
import type { AnnotationStream, Annotator, VideoStart } from './annotator.ts'
import { FrameStream, openDecoder, type Decoder } from './frames.ts'
import { ShotDetector } from './shot-detector.ts'
import { StreamOutcome } from './stream-outcome.ts'

/** Options of the local annotator. */
export interface LocalOptions {
  /** The path of ffmpeg. Default: what FFMPEG_PATH, PATH or the installed package gives. */
  readonly program?: string
  /** Threads of ffmpeg for each video. Default: ffmpeg's own choice, about one a core. */
  readonly threads?: number
}

/** An annotator that decodes on this machine. Opening rejects with MILLRACE_FFMPEG_MISSING where there is no ffmpeg. */
export function local(options: LocalOptions = {}): Annotator {
  // ffmpeg is looked for at the first video and not when the pipeline is only described.
  let decoder: Promise<Decoder> | undefined
  return {
    name: 'local',
    open: async (video) => {
      decoder ??= findDecoder(options)
      let found: Decoder
      try {
        found = await decoder
      } catch (error) {
        decoder = undefined
        throw error
      }
      video.signal.throwIfAborted()
      return new LocalStream(video, found, options.threads)
    },
  }
}

async function findDecoder({ program }: LocalOptions): Promise<Decoder> {
  return openDecoder(program ?? (await findFfmpeg()))
}

class LocalStream implements AnnotationStream {
  readonly done: Promise<void>
  readonly #outcome: StreamOutcome
  readonly #video: VideoStart
  readonly #detector = new ShotDetector()
  readonly #frames: FrameStream
  #reportedUs = 0
  /** The decoder may have all its frames before the last bytes of the file come. */
  #inputEnded = false
  #framesEnded = false

  constructor(video: VideoStart, decoder: Decoder, threads: number | undefined) {
    this.#video = video
    this.#frames = new FrameStream({
      decoder,
      videoId: video.videoId,
      onFrame: (frame) => this.#report(this.#detector.push(frame)),
      ...(threads === undefined ? {} : { threads }),
    })
    const onAbort = (): void => this.abort(video.signal.reason as Error)
    video.signal.addEventListener('abort', onAbort, { once: true })
    this.#outcome = new StreamOutcome(async () => {
      video.signal.removeEventListener('abort', onAbort)
      // Who waits for the end of the stream may rely on the program's being gone.
      await this.#frames.done.catch(() => {})
    })
    this.done = this.#outcome.done
    this.#frames.done.then(
      () => this.#finish(),
      (error: unknown) => this.#outcome.fail(asError(error)),
    )
  }

  async write(bytes: Buffer): Promise<void> {
    this.#outcome.throwIfFailed()
    await this.#frames.write(bytes)
  }

  end(): void {
    this.#inputEnded = true
    this.#frames.end()
    this.#succeed()
  }

  abort(reason: Error): void {
    this.#outcome.fail(reason)
    this.#frames.abort(reason)
  }

  #report(shots: readonly Shot[]): void {
    if (!this.#outcome.open) return
    const finalUs = this.#detector.openShotUs
    if (shots.length === 0 && finalUs === this.#reportedUs) return
    this.#reportedUs = finalUs
    this.#video.onProgress({ shots, finalUs })
  }

  #finish(): void {
    if (!this.#outcome.open) return
    this.#video.onProgress({ shots: this.#detector.finish(), finalUs: Number.POSITIVE_INFINITY })
    this.#framesEnded = true
    this.#succeed()
  }

  #succeed(): void {
    if (this.#inputEnded && this.#framesEnded) this.#outcome.succeed()
  }
}
