import { Client, credentials, type ClientDuplexStream } from '@grpc/grpc-js'
import { afterEach, describe, expect, it } from 'vitest'
import { isMillraceError } from '../../../model/errors.ts'
import { systemClock } from '../../../runtime/system-clock.ts'
import type { AnnotationStream, Annotator } from '../../../video/annotators/annotator.ts'
import { annotateWhole } from '../../../video/annotators/conformance.ts'
import { google } from '../../../video/annotators/google.ts'
import { STREAMING_PATH } from '../../../video/annotators/google-messages.ts'
import { local } from '../../../video/annotators/local.ts'
import { serveAnnotator, type AnnotatorServer } from '../../../video/annotators/local-server.ts'
import { StreamOutcome } from '../../../video/annotators/stream-outcome.ts'
import { expectNothingLeft, openResources } from './leftovers.ts'
import { smallClip } from './small-clip.ts'

const clock = systemClock()
/** A StreamingVideoConfig with feature 2, in field 1. */
const SHOTS_CONFIG = Buffer.from([0x0a, 0x02, 0x08, 0x02])
/** The same with feature 1, labels. */
const LABELS_CONFIG = Buffer.from([0x0a, 0x02, 0x08, 0x01])

function content(bytes: Buffer): Buffer {
  const length: number[] = []
  let left = bytes.length
  while (left > 0x7f) {
    length.push((left & 0x7f) | 0x80)
    left >>>= 7
  }
  return Buffer.concat([Buffer.from([0x12, ...length, left]), bytes])
}

afterEach(() => expectNothingLeft())

/** A call that is no Google client: whatever bytes are wanted as messages. */
async function statusOf(
  server: AnnotatorServer,
  talk: (call: ClientDuplexStream<Buffer, Buffer>) => void,
): Promise<{ code: number; details: string; answers: Buffer[] }> {
  const same = (bytes: Buffer): Buffer => bytes
  const client = new Client(server.endpoint, credentials.createInsecure())
  try {
    const call = client.makeBidiStreamRequest(STREAMING_PATH, same, same)
    const answers: Buffer[] = []
    call.on('data', (answer: Buffer) => answers.push(answer)).on('error', () => {})
    talk(call)
    return await new Promise((resolve) =>
      call.on('status', ({ code, details }) => resolve({ code, details, answers })),
    )
  } finally {
    client.close()
  }
}

describe('the annotator server', () => {
  it('refuses content before a configuration', async () => {
    await using server = await serveAnnotator({ clock })
    const status = await statusOf(server, (call) => call.write(content(Buffer.alloc(1_000))))
    expect(status).toMatchObject({ code: 3, details: expect.stringContaining('first message') })
  })

  it('refuses a feature that it has not', async () => {
    await using server = await serveAnnotator({ clock })
    const status = await statusOf(server, (call) => call.write(LABELS_CONFIG))
    expect(status).toMatchObject({ code: 3, details: expect.stringContaining('SHOT_CHANGE') })
  })

  it('refuses a second configuration', async () => {
    await using server = await serveAnnotator({ clock })
    const status = await statusOf(server, (call) => {
      call.write(SHOTS_CONFIG)
      call.write(SHOTS_CONFIG)
    })
    expect(status).toMatchObject({ code: 3, details: expect.stringContaining('input_content') })
  })

  it('refuses a call without a message', async () => {
    await using server = await serveAnnotator({ clock })
    expect(await statusOf(server, (call) => call.end())).toMatchObject({ code: 3 })
  })

  it('says what is no video in a response and ends the stream well, as Google does', async () => {
    await using server = await serveAnnotator({ clock })
    const { code, answers } = await statusOf(server, (call) => {
      call.write(SHOTS_CONFIG)
      call.write(content(Buffer.alloc(200_000, 'no video')))
      call.end()
    })
    expect(code).toBe(0)
    expect(answers.map(String).join()).toContain('cannot decode')
  })

  it('takes messages of 10 MiB and more', async () => {
    await using server = await serveAnnotator({ clock, annotator: countingAnnotator() })
    const status = await statusOf(server, (call) => {
      call.write(SHOTS_CONFIG)
      call.write(content(Buffer.alloc(40 * 2 ** 20)))
      call.end()
    })
    expect(status.code).toBe(0)
  })

  it('slows the sender down where the annotator is slow', async () => {
    const annotator = countingAnnotator()
    await using server = await serveAnnotator({ clock, annotator })
    const client = google({ feature: 'shots', endpoint: server.endpoint, insecure: true })
    const signal = new AbortController().signal
    const stream = await client.open({ videoId: 'v', signal, onProgress: () => {} })
    annotator.hold()
    let writtenMiB = 0
    const writing = (async () => {
      for (; writtenMiB < 200; writtenMiB += 1) await stream.write(Buffer.alloc(2 ** 20))
    })()
    // The sender comes to rest: as much as a hundred turns bring no further message through.
    for (let seen = -1, still = 0; still < 100; still = seen === writtenMiB ? still + 1 : 0) {
      seen = writtenMiB
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    expect(writtenMiB).toBeLessThan(60)
    annotator.release()
    await writing
    stream.end()
    await stream.done
    expect(annotator.bytes).toBe(200 * 2 ** 20)
  })

  it('kills the decoder when the client goes away', async () => {
    const { bytes } = await smallClip()
    await using server = await serveAnnotator({ clock })
    const client = google({ feature: 'shots', endpoint: server.endpoint, insecure: true })
    const controller = new AbortController()
    const stream = await client.open({
      videoId: 'v',
      signal: controller.signal,
      onProgress: () => {},
    })
    await stream.write(bytes.subarray(0, 100_000))
    await waitForChild()
    controller.abort(new Error('gone'))
    await stream.done.catch(() => {})
    await expectNothingLeft(['TCPServerWrap'])
  })

  it('names the port that is taken and what to do', async () => {
    await using server = await serveAnnotator({ clock })
    const port = Number(server.endpoint.split(':').at(-1))
    const error = await serveAnnotator({ clock, port }).catch((thrown: unknown) => thrown)
    expect(isMillraceError(error, 'MILLRACE_PORT_IN_USE')).toBe(true)
    expect(String(error)).toContain(`Port ${port} of 127.0.0.1`)
  })

  it('lets open streams end when it closes, and takes no more', async () => {
    const { bytes, shots } = await smallClip()
    const server = await serveAnnotator({ clock })
    const client = google({ feature: 'shots', endpoint: server.endpoint, insecure: true })
    const found: object[] = []
    const signal = new AbortController().signal
    const stream = await client.open({
      videoId: 'v',
      signal,
      onProgress: (progress) => found.push(...progress.shots),
    })
    await stream.write(bytes.subarray(0, 100_000))
    await waitForChild()
    const closing = server.close(20_000)
    await stream.write(bytes.subarray(100_000))
    stream.end()
    await stream.done
    expect(found).toEqual(shots)
    await closing
    await expect(annotateWhole(client, [bytes])).rejects.toMatchObject({ failure: 'retry' })
  })

  it('breaks off what does not end within its grace, as a failure that may pass', async () => {
    const { bytes } = await smallClip()
    const server = await serveAnnotator({ clock })
    const client = google({ feature: 'shots', endpoint: server.endpoint, insecure: true })
    const signal = new AbortController().signal
    const stream = await client.open({ videoId: 'v', signal, onProgress: () => {} })
    await stream.write(bytes.subarray(0, 100_000))
    await waitForChild()
    await server.close(10)
    await expect(stream.done).rejects.toMatchObject({ failure: 'retry', status: 14 })
    expect(server.openStreams).toBe(0)
  })

  it('tells a failure of the machine apart from one of the video', async () => {
    const { bytes } = await smallClip()
    await using server = await serveAnnotator({
      clock,
      annotator: local({ program: '/no/such/ffmpeg' }),
    })
    const client = google({ feature: 'shots', endpoint: server.endpoint, insecure: true })
    await expect(annotateWhole(client, [bytes])).rejects.toMatchObject({
      failure: 'stop',
      status: 9,
    })
  })
})

/** An annotator that counts bytes, and can be made to take none for a while. */
function countingAnnotator(): Annotator & { bytes: number; hold(): void; release(): void } {
  let held: Promise<void> = Promise.resolve()
  let release = (): void => {}
  const annotator = {
    name: 'counting',
    bytes: 0,
    hold: () => {
      held = new Promise((resolve) => (release = resolve))
    },
    release: () => release(),
    open: async (): Promise<AnnotationStream> => {
      const outcome = new StreamOutcome()
      return {
        write: async (bytes) => {
          await held
          annotator.bytes += bytes.length
        },
        end: () => outcome.succeed(),
        abort: (reason) => void outcome.fail(reason),
        done: outcome.done,
      }
    },
  }
  return annotator
}

async function waitForChild(): Promise<void> {
  const deadline = Date.now() + 5_000
  while (!openResources().includes('ProcessWrap')) {
    expect(Date.now()).toBeLessThan(deadline)
    await clock.yield()
  }
}
