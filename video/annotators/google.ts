/**
 * Google's Video Intelligence API (v1p3beta1, streaming): the real client, one stream a video. Google
 * ends the service on 2027-09-14 (docs/decisions/two-annotators.md).
 *
 * The client reports one failure up to three times and in two channels, says `true` to a write that
 * will never leave, and kills the process where nobody listens; so each stream keeps a state of its
 * own, and the first report counts. The content is one stream of bytes to Google: it is cut into
 * messages of 1 MiB, as Google's own ingestion client does, because both ends buffer 16 messages of
 * any size, and "less than 10 MB" is what Google recommends. The package takes 300 ms to load and is
 * loaded at the first video.
 */
import type { v1p3beta1 } from '@google-cloud/video-intelligence'
import { asError, MillraceError } from '../../model/errors.ts'
import type { AnnotationStream, Annotator, VideoStart } from './annotator.ts'
import { AnnotatorError, reasonOf, serviceError, STATUS } from './failure.ts'
import { shotOf, type StreamingCodec, type StreamingResponse } from './google-messages.ts'
import { StreamOutcome } from './stream-outcome.ts'

/** Options of the Google annotator. Credentials are found the usual way: GOOGLE_APPLICATION_CREDENTIALS, gcloud's login, the machine's own account. */
export interface GoogleOptions {
  /** What to look for. Google takes one feature a stream. */
  readonly feature: 'shots'
  /** `host:port`. Default: Google's. */
  readonly endpoint?: string
  /** Plain HTTP/2 without TLS and without credentials, for a server on this machine. Default false. */
  readonly insecure?: boolean
  /** Longest life of one stream. Default 3 hours, which is also Google's longest video. */
  readonly deadlineMs?: number
  /** Content a message. Default 1 MiB; Google recommends less than 10 MB. */
  readonly messageBytes?: number
  /** Silence after which the connection is probed. Default 30 seconds. */
  readonly keepaliveMs?: number
}

/** An annotator that asks Google, or a server that speaks Google's protocol. Streams share one connection, which closes with the last of them. */
export function google(options: GoogleOptions): Annotator {
  const channel = new Channel(options)
  return {
    name: 'google',
    open: async (video) => {
      const client = await channel.acquire(video.videoId)
      if (video.signal.aborted) {
        await channel.release()
        throw video.signal.reason as Error
      }
      const call = client.streamingAnnotateVideo({
        timeout: options.deadlineMs ?? DEFAULT_DEADLINE_MS,
      })
      const messageBytes = options.messageBytes ?? DEFAULT_MESSAGE_BYTES
      return new GoogleStream({ video, call, messageBytes, release: () => channel.release() })
    },
  }
}

/** The package's own codec of the service's messages, for a server that speaks the protocol. */
export async function googleCodec(): Promise<StreamingCodec> {
  const { protos } = await import('@google-cloud/video-intelligence')
  const messages = protos.google.cloud.videointelligence.v1p3beta1
  const { StreamingAnnotateVideoRequest: Request, StreamingAnnotateVideoResponse: Response } =
    messages
  return {
    decodeRequest: (bytes) => {
      const { videoConfig, inputContent } = Request.decode(bytes)
      return {
        feature: videoConfig === null ? undefined : Number(videoConfig?.feature ?? 0),
        // Decoded from a buffer, content is a view on it and never text.
        content: Buffer.isBuffer(inputContent) ? inputContent : undefined,
      }
    },
    encodeResponse: (response) => Buffer.from(Response.encode(response).finish()),
  }
}

type Client = InstanceType<typeof v1p3beta1.StreamingVideoIntelligenceServiceClient>
type Call = ReturnType<Client['streamingAnnotateVideo']>

const DEFAULT_DEADLINE_MS = 3 * 60 * 60 * 1_000
const DEFAULT_MESSAGE_BYTES = 1024 * 1024
const DEFAULT_KEEPALIVE_MS = 30_000
const KEEPALIVE_TIMEOUT_MS = 10_000

class GoogleStream implements AnnotationStream {
  readonly done: Promise<void>
  readonly #outcome: StreamOutcome
  readonly #video: VideoStart
  readonly #call: Call
  readonly #messageBytes: number
  #inputEnded = false
  #finalUs = 0

  constructor(parts: {
    readonly video: VideoStart
    readonly call: Call
    readonly messageBytes: number
    readonly release: () => Promise<void>
  }) {
    const { video, call } = parts
    this.#video = video
    this.#call = call
    this.#messageBytes = parts.messageBytes
    const onAbort = (): void => this.abort(video.signal.reason as Error)
    video.signal.addEventListener('abort', onAbort, { once: true })
    this.#outcome = new StreamOutcome(async () => {
      video.signal.removeEventListener('abort', onAbort)
      await parts.release()
    })
    this.done = this.#outcome.done
    // The listener stays for good: a second error comes after the first one has ended the stream.
    call.on('error', (error: Error & { readonly code?: unknown }) => this.#failWith(error))
    call.on('data', (response: StreamingResponse) => this.#take(response))
    call.on('end', () => this.#finish())
    call.write({ videoConfig: { feature: 'STREAMING_SHOT_CHANGE_DETECTION' } })
  }

  async write(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; at += this.#messageBytes) {
      const inputContent = bytes.subarray(at, at + this.#messageBytes)
      await this.#outcome.step((resolve) => {
        this.#call.write({ inputContent }, (error?: Error | null) => {
          // After an error the call drops what it is given, and the error's event came before this.
          if (error === undefined || error === null) resolve()
          else this.#failWith(error)
        })
      })
    }
  }

  end(): void {
    this.#inputEnded = true
    if (this.#outcome.open) this.#call.end()
  }

  abort(reason: Error): void {
    if (this.#outcome.fail(reason)) this.#drop()
  }

  #take({ error, annotationResults }: StreamingResponse): void {
    if (!this.#outcome.open) return
    if (error?.code !== undefined && error.code !== null && error.code !== STATUS.ok) {
      this.#fail(error.code, error.message ?? '')
      return
    }
    const shots = (annotationResults?.shotAnnotations ?? [])
      .map(shotOf)
      // What begins before what is final has been reported already.
      .filter(({ startUs }) => startUs >= this.#finalUs)
    const last = shots.at(-1)
    if (last === undefined) return
    // A shot's end is the time of its last frame, and the next shot begins with the frame after it.
    this.#finalUs = last.endUs + 1
    this.#video.onProgress({ shots, finalUs: this.#finalUs })
  }

  #finish(): void {
    if (!this.#outcome.open) return
    if (!this.#inputEnded) {
      this.#fail(STATUS.ok, 'the stream ended before the video did')
      return
    }
    this.#video.onProgress({ shots: [], finalUs: Number.POSITIVE_INFINITY })
    this.#outcome.succeed()
  }

  #failWith(error: Error & { readonly code?: unknown }): void {
    const status = typeof error.code === 'number' ? error.code : STATUS.unavailable
    this.#fail(status, error.message, error)
  }

  #fail(status: number, message: string, cause?: Error): void {
    const { videoId } = this.#video
    if (
      this.#outcome.fail(serviceError({ status, message, annotator: 'google', videoId, cause }))
    ) {
      this.#drop()
    }
  }

  #drop(): void {
    this.#call.cancel()
    this.#call.destroy()
  }
}

/** The connection that all streams of one annotator share. */
class Channel {
  readonly #options: GoogleOptions
  #client: Promise<Client> | undefined
  #streams = 0

  constructor(options: GoogleOptions) {
    this.#options = options
  }

  /** The connected client. Each acquire that resolves is followed by one release. */
  async acquire(videoId: string): Promise<Client> {
    const client = (this.#client ??= connect(this.#options))
    this.#streams += 1
    try {
      return await client
    } catch (error) {
      this.#streams -= 1
      if (this.#client === client) this.#client = undefined
      throw unconnected(asError(error), videoId)
    }
  }

  /** Gives one acquire back; the last one closes the connection. */
  async release(): Promise<void> {
    this.#streams -= 1
    if (this.#streams > 0) return
    const client = this.#client
    this.#client = undefined
    await (await client)?.close()
  }
}

async function connect(options: GoogleOptions): Promise<Client> {
  const [{ v1p3beta1: api }, { grpc, googleAuthLibrary }] = await Promise.all([
    import('@google-cloud/video-intelligence'),
    import('google-gax'),
  ])
  const keepaliveMs = options.keepaliveMs ?? DEFAULT_KEEPALIVE_MS
  const client = new api.StreamingVideoIntelligenceServiceClient({
    ...endpointOf(options.endpoint),
    ...(options.insecure !== true
      ? {}
      : {
          sslCreds: grpc.credentials.createInsecure(),
          // Without it the client asks the network for credentials that nobody wants.
          authClient: new googleAuthLibrary.PassThroughClient(),
          'grpc.enable_http_proxy': 0,
        }),
    'grpc.keepalive_time_ms': keepaliveMs,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    // A video is replayed from the log; copies that wait for a retry by the transport are of no use.
    'grpc.enable_retries': 0,
  })
  // Otherwise the first call does it and throws what goes wrong where nobody can catch it.
  await client.initialize()
  return client
}

/** The package takes host and port apart; together they would be looked up as one name. */
function endpointOf(endpoint: string | undefined): {
  readonly apiEndpoint?: string
  readonly port?: number
} {
  if (endpoint === undefined) return {}
  const [, host, port] = /^(.+?)(?::(\d+))?$/.exec(endpoint) ?? []
  if (host === undefined || /^\w+:\/\//.test(endpoint)) {
    throw new AnnotatorError(
      'misconfigured',
      `${endpoint} is no endpoint of an annotator: write it as host:port, without a scheme.`,
    )
  }
  return { apiEndpoint: host, ...(port === undefined ? {} : { port: Number(port) }) }
}

function unconnected(error: Error, videoId: string): Error {
  if (error instanceof MillraceError) return error
  const denied = /credential|ENOENT|private key|unauthorized/i.test(error.message)
  return new AnnotatorError(
    denied ? 'denied' : 'unavailable',
    `Google's client cannot be opened for video ${videoId}: ${reasonOf(error.message)}. ` +
      'Set GOOGLE_APPLICATION_CREDENTIALS to a key file, log in with gcloud, or use the local annotator.',
    { place: `video ${videoId}`, cause: error },
  )
}
