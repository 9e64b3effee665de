/**
 * What an annotator is: the plug-in that watches a video and says where its shots are. It is fed the
 * bytes of one video in order and answers as it goes, some answers long after the bytes they are
 * about, for a shot is only known when it ends.
 *
 * The rule that makes the rest of the pipeline possible: what was reported is final, and
 * `finalUs` says how far. A result may come early or late and in one response or ten, but the shots
 * of a video are a function of its bytes alone. Results are a callback and not an iterator, so that
 * no queue stands between the service and the reader, and their order is the service's.
 */
import type { Shot } from '../schemas.ts'

/** A service, or a program, that finds the shots of videos. */
export interface Annotator {
  /** For messages: `google`, `local`. */
  readonly name: string
  /** Opens the stream of one video. Rejects with an AnnotatorError where the service cannot be reached. */
  open(video: VideoStart): Promise<AnnotationStream>
}

/** What an annotator is told about a video before its bytes come. */
export interface VideoStart {
  readonly videoId: string
  /** Aborts the stream, as `abort` does. */
  readonly signal: AbortSignal
  /** Called with what has become final, in the order of time; never after `done` has settled. Must not throw. */
  readonly onProgress: (progress: AnnotationProgress) => void
}

/** Shots that have ended, and how far the video is final. */
export interface AnnotationProgress {
  /** In the order of time, after all that were reported before. */
  readonly shots: readonly Shot[]
  /**
   * No shot that is reported later begins before this time, in microseconds from the first frame that
   * is shown. It never goes back. Infinity: all shots of the video are reported.
   */
  readonly finalUs: number
}

/**
 * The open stream of one video. It fails once: `done`, the open write and every later write reject
 * with the same error, which is an AnnotatorError or the reason of an abort.
 */
export interface AnnotationStream {
  /** Takes the next bytes; resolves when the transport has taken them, so that waiting for it bounds the memory. One at a time. */
  write(bytes: Buffer): Promise<void>
  /** No bytes follow. */
  end(): void
  /** Resolves after `end`, when every shot was reported. */
  readonly done: Promise<void>
  /** Drops the stream and whatever works for it. Never throws. */
  abort(reason: Error): void
}
