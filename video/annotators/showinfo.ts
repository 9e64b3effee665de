/**
 * Reads when each frame is shown from what ffmpeg's showinfo filter prints, one line a frame in the
 * order of the frames. The ticks (`pts`) count, not `pts_time`: that has six digits, which is ten
 * milliseconds in the second hour of a video. Times are microseconds from the first frame, rounded as
 * the time map of an mp4 rounds, so that both give the same number for the same frame.
 */
import { microseconds } from '../ticks.ts'

/** Reads the times; they are taken one by one. */
export class ShowinfoReader {
  /** Times that nobody has taken yet, oldest first. */
  readonly #times: number[] = []
  #line = ''
  #said: string[] = []
  #timeBase: TimeBase = { numerator: 1, denominator: 1_000_000 }
  #firstTicks: number | undefined
  #lastUs = -1
  #stepUs = DEFAULT_STEP_US

  /** Takes the next part of what ffmpeg wrote to stderr. */
  push(text: string): void {
    const lines = (this.#line + text).split('\n')
    this.#line = (lines.pop() ?? '').slice(0, MAX_LINE_CHARACTERS)
    for (const line of lines) this.#read(line)
  }

  /** The time of the next frame, or undefined while ffmpeg has not told it. */
  take(): number | undefined {
    return this.#times.shift()
  }

  /** The last lines that ffmpeg wrote besides those about frames: the reason, where it failed. */
  get said(): string {
    return [...this.#said, this.#line].join(' ').replaceAll(/\s+/g, ' ').trim()
  }

  #read(line: string): void {
    // Anchored at the start, where no text of a video's own metadata can come to stand.
    const frame = FRAME_LINE.exec(line)
    if (frame !== null) {
      this.#times.push(this.#timeOf(frame[1]))
      return
    }
    const config = CONFIG_LINE.exec(line)
    if (config !== null) this.#changeTimeBase(Number(config[1]), Number(config[2]))
    else if (!line.startsWith('[Parsed_')) this.#remember(line)
  }

  #timeOf(printed: string | undefined): number {
    const ticks = Number(printed)
    let timeUs = this.#lastUs + this.#stepUs
    if (Number.isFinite(ticks)) {
      this.#firstTicks ??= ticks
      const { numerator, denominator } = this.#timeBase
      timeUs = microseconds((ticks - this.#firstTicks) * numerator, denominator)
    } else if (this.#lastUs < 0) timeUs = 0
    // Damaged files go back in time; the shots of a video must not.
    timeUs = Math.max(timeUs, this.#lastUs + 1)
    if (this.#lastUs >= 0) this.#stepUs = timeUs - this.#lastUs
    this.#lastUs = timeUs
    return timeUs
  }

  /** ffmpeg builds its filters anew when the size of the picture changes; the first frame stays where it was. */
  #changeTimeBase(numerator: number, denominator: number): void {
    if (numerator <= 0 || denominator <= 0) return
    if (this.#firstTicks !== undefined) {
      const old = this.#timeBase
      this.#firstTicks = Math.round(
        (this.#firstTicks * old.numerator * denominator) / (old.denominator * numerator),
      )
    }
    this.#timeBase = { numerator, denominator }
  }

  #remember(line: string): void {
    this.#said.push(line)
    if (this.#said.length > REMEMBERED_LINES) this.#said = this.#said.slice(-REMEMBERED_LINES / 2)
  }
}

/** One tick, in seconds. */
interface TimeBase {
  readonly numerator: number
  readonly denominator: number
}

/** For frames without a time, before two with a time were seen. */
const DEFAULT_STEP_US = 40_000
const REMEMBERED_LINES = 16
/** A line that a hostile file makes longer than this is cut. */
const MAX_LINE_CHARACTERS = 65_536

const FRAME_LINE = /^\[Parsed_showinfo_\d+ @ [^\]]*\] n: *\d+ pts: *(-?\d+|NOPTS)/
const CONFIG_LINE = /^\[Parsed_showinfo_\d+ @ [^\]]*\] config in time_base: (\d+)\/(\d+)/
