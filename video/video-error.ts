/** What goes wrong with a video: its file, its container, its place in the log. */
import { MillraceError } from '../model/errors.ts'

/** An error of the video side. Its codes are in docs/errors.md. */
export class VideoError extends MillraceError {
  override readonly name = 'VideoError'
}
