/**
 * A video's bytes in, its frames out: 64x36 pixels in three planes, each with its time. ffmpeg
 * decodes, as a program of its own: frames come from its stdout, their times from its stderr, and the
 * two are paired by order. Only decoding costs time; a frame this small is enough to tell shots apart
 * (larger ones find the same cuts), and looking at it costs 30 microseconds.
 *
 * The bytes are not trusted. ffmpeg may read from its pipe alone: a video that is really a playlist
 * cannot make it open files or addresses.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { AnnotatorError } from './failure.ts'
import { ShowinfoReader } from './showinfo.ts'
import { StreamableCheck } from './streamable.ts'
import { StreamOutcome } from './stream-outcome.ts'

/** The size of decoded frames, in pixels. */
export const FRAME_WIDTH = 64
/** The size of decoded frames, in pixels. */
export const FRAME_HEIGHT = 36
/** Bytes of one of a frame's three planes: Y, then U, then V. */
export const PLANE_BYTES = FRAME_WIDTH * FRAME_HEIGHT
/** Bytes of one frame. */
export const FRAME_BYTES = 3 * PLANE_BYTES

/** One decoded picture. */
export interface Frame {
  /** Microseconds from the first frame that is shown. */
  readonly timeUs: number
  /** Three planes of 64x36 bytes: Y, U, V. */
  readonly pixels: Uint8Array
}

/** A program that decodes, and how it is called. */
export interface Decoder {
  /** The path of ffmpeg. */
  readonly program: string
  /** The arguments that let every frame through once, which no two generations of ffmpeg share. */
  readonly passthrough: string
}

/** What a decoding is started with. */
export interface DecodeStart {
  readonly decoder: Decoder
  /** For messages. */
  readonly videoId: string
  /** Threads of ffmpeg. Default: ffmpeg's own choice, about one a core. */
  readonly threads?: number
  /** Called for each frame, in the order of time. Must not throw. */
  readonly onFrame: (frame: Frame) => void
}

/** Finds out how the ffmpeg at `program` wants to be called. */
export async function openDecoder(program: string): Promise<Decoder> {
  const isNew = await new Promise<boolean>((resolve) => {
    const child = spawn(program, ['-loglevel', 'quiet', '-fps_mode', 'passthrough', '-version'], {
      stdio: 'ignore',
    })
    child.once('error', () => resolve(false))
    child.once('close', (code) => resolve(code === 0))
  })
  return { program, passthrough: isNew ? '-fps_mode passthrough' : '-vsync 0' }
}

/** ffmpeg at work on one video. */
export class FrameStream {
  /** Settles when ffmpeg is gone: well when all frames were given, also those of a video that ends in the middle of one. */
  readonly done: Promise<void>
  readonly #outcome: StreamOutcome
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #check = new StreamableCheck()
  readonly #times = new ShowinfoReader()
  readonly #start: DecodeStart
  /** Frames whose time is not known yet. */
  readonly #untimed: Uint8Array[] = []
  #partial = new Uint8Array(FRAME_BYTES)
  #filled = 0
  #frames = 0
  /** ffmpeg reads no more: it failed, or it has all its frames and leaves the rest of the file unread. */
  #deaf = false

  constructor(start: DecodeStart) {
    this.#start = start
    this.#child = spawn(start.decoder.program, ffmpegArguments(start), {
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    const gone = new Promise<void>((resolve) => this.#child.once('close', () => resolve()))
    this.#outcome = new StreamOutcome(() => gone)
    this.done = this.#outcome.done
    this.#listen()
  }

  /** Takes the next bytes; resolves when ffmpeg's pipe has taken them. Rejects with the stream's failure. */
  async write(bytes: Buffer): Promise<void> {
    if (!this.#check.accepts(bytes)) this.abort(headerLast(this.#start.videoId))
    this.#outcome.throwIfFailed()
    if (this.#deaf) return
    await this.#outcome.step((resolve) => {
      this.#child.stdin.write(bytes, () => resolve())
    })
  }

  /** No bytes follow. */
  end(): void {
    this.#child.stdin.end()
  }

  /** Kills ffmpeg. Frames that were not given are dropped. */
  abort(reason: Error): void {
    this.#outcome.fail(reason)
    this.#child.kill('SIGKILL')
  }

  #listen(): void {
    // First of all: a machine without a free descriptor gives a child without streams, and this event.
    this.#child.once('error', (cause) => this.#outcome.fail(notStarted(this.#start, cause)))
    const { stdin, stdout, stderr } = this.#child
    // EPIPE: ffmpeg went before its input did. Why, its exit says.
    stdin.on('error', () => (this.#deaf = true))
    stdout.on('data', (bytes: Buffer) => this.#takePixels(bytes))
    stderr.setEncoding('utf8').on('data', (text: string) => this.#takeTimes(text))
    this.#child.once('close', (code, signal) => this.#conclude(code, signal))
  }

  #takePixels(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + FRAME_BYTES - this.#filled)
      this.#partial.set(part, this.#filled)
      this.#filled += part.length
      at += part.length
      if (this.#filled < FRAME_BYTES) break
      this.#untimed.push(this.#partial)
      this.#partial = new Uint8Array(FRAME_BYTES)
      this.#filled = 0
    }
    this.#pair()
    if (this.#untimed.length > MAX_UNTIMED_FRAMES) this.abort(untimed(this.#start))
  }

  #takeTimes(text: string): void {
    this.#times.push(text)
    this.#pair()
  }

  #pair(): void {
    while (this.#untimed.length > 0 && this.#outcome.open) {
      const timeUs = this.#times.take()
      if (timeUs === undefined) return
      const pixels = this.#untimed.shift()
      if (pixels === undefined) return
      this.#frames += 1
      this.#start.onFrame({ timeUs, pixels })
    }
  }

  #conclude(code: number | null, signal: NodeJS.Signals | null): void {
    this.#deaf = true
    if (signal !== null || code === null) this.#outcome.fail(killed(this.#start, signal))
    else if (code !== 0 || this.#frames === 0) {
      this.#outcome.fail(undecodable(this.#start, this.#times.said))
    } else if (this.#untimed.length > 0) this.#outcome.fail(untimed(this.#start))
    else this.#outcome.succeed()
  }
}

/** ffmpeg prints the time of a frame before it writes the frame; more than this many without a time are a build that prints none. */
const MAX_UNTIMED_FRAMES = 1_024
/** How many characters of ffmpeg's messages an error quotes: the end, where the reason stands. */
const QUOTED_CHARACTERS = 300

function ffmpegArguments({ decoder, threads }: DecodeStart): string[] {
  const limits = threads === undefined ? '' : `-threads ${threads} `
  const filters = `scale=${FRAME_WIDTH}:${FRAME_HEIGHT}:flags=area,format=yuv444p,showinfo`
  // V and not v: the picture of an album's cover is no video.
  return (
    `-hide_banner -nostdin -nostats -loglevel repeat+info ${limits}` +
    `-protocol_whitelist pipe -i pipe:0 -map 0:V:0 -vf ${filters} ` +
    `${decoder.passthrough} -f rawvideo -flush_packets 1 pipe:1`
  ).split(' ')
}

function headerLast(videoId: string): AnnotatorError {
  return new AnnotatorError(
    'rejected',
    `Video ${videoId} has its header (moov) behind its frames and cannot be decoded from a stream: ` +
      'ingest the file, which moves the header, or rewrite it with: ffmpeg -i in.mp4 -c copy -movflags +faststart out.mp4',
    { place: `video ${videoId}` },
  )
}

function undecodable({ videoId }: DecodeStart, said: string): AnnotatorError {
  const quoted = said.slice(-QUOTED_CHARACTERS)
  return new AnnotatorError(
    'rejected',
    `ffmpeg cannot decode video ${videoId}${quoted === '' ? '' : `, saying: ${quoted}`}. ` +
      'Check that the file is a video and plays; re-encode it if it is damaged.',
    { place: `video ${videoId}` },
  )
}

function killed({ videoId }: DecodeStart, signal: string | null): AnnotatorError {
  return new AnnotatorError(
    'unavailable',
    `ffmpeg was killed by ${signal ?? 'an unknown cause'} while it decoded video ${videoId}. ` +
      'The video is tried again; if that goes on, look whether the machine has enough memory.',
    { place: `video ${videoId}` },
  )
}

function untimed({ decoder, videoId }: DecodeStart): AnnotatorError {
  return new AnnotatorError(
    'misconfigured',
    `${decoder.program} gives frames of video ${videoId} without their times: set FFMPEG_PATH to another build.`,
    { place: decoder.program },
  )
}

function notStarted({ decoder }: DecodeStart, cause: Error): AnnotatorError {
  return new AnnotatorError(
    'misconfigured',
    `ffmpeg cannot be started from ${decoder.program}: set FFMPEG_PATH to one that can.`,
    { place: decoder.program, cause },
  )
}
