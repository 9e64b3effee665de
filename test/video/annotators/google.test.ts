import { connect, createServer, type AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../../runtime/system-clock.ts'
import { annotatorConformance, annotateWhole } from '../../../video/annotators/conformance.ts'
import { google, type GoogleOptions } from '../../../video/annotators/google.ts'
import {
  serveAnnotator,
  type AnnotatorServer,
  type ServeOptions,
} from '../../../video/annotators/local-server.ts'
import type { Rehearsal } from '../../../video/annotators/rehearsal.ts'
import { expectNothingLeft, unhandledDuring } from './leftovers.ts'
import { smallClip } from './small-clip.ts'

const clock = systemClock()

function serve(options: Partial<ServeOptions> = {}): Promise<AnnotatorServer> {
  return serveAnnotator({ clock, ...options })
}

function client(server: { readonly endpoint: string }, options: Partial<GoogleOptions> = {}) {
  return google({ feature: 'shots', endpoint: server.endpoint, insecure: true, ...options })
}

function cut(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
    bytes.subarray(i * size, (i + 1) * size),
  )
}

afterEach(() => expectNothingLeft())

describe('the Google annotator, with the real client, against the local server', () => {
  annotatorConformance(
    {
      open: async () => {
        const server = await serve()
        return {
          annotator: client(server),
          [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
        }
      },
      clip: smallClip,
      looks: true,
    },
    it,
  )

  it('cuts content into messages, of any size', async () => {
    const { bytes, shots } = await smallClip()
    await using server = await serve()
    for (const messageBytes of [5_000, 100_000, 10_000_000]) {
      const found = await annotateWhole(client(server, { messageBytes }), [bytes])
      expect(found).toEqual(shots)
    }
  })

  it('shares one connection between streams and closes it with the last', async () => {
    const { bytes } = await smallClip()
    await using server = await serve()
    await using line = await tappedLine(server.endpoint)
    const annotator = client(line)
    const signal = new AbortController().signal
    const open = () => annotator.open({ videoId: 'v', signal, onProgress: () => {} })
    const streams = [await open(), await open(), await open()]
    for (const stream of streams) await stream.write(bytes.subarray(0, 20_000))
    await waitFor(() => server.openStreams === 3)
    expect(line).toMatchObject({ opened: 1, open: 1 })
    for (const stream of streams.slice(1)) stream.abort(new Error('enough'))
    await Promise.allSettled(streams.slice(1).map(({ done }) => done))
    expect(line).toMatchObject({ opened: 1, open: 1 })
    streams[0]?.abort(new Error('enough'))
    await waitFor(() => line.open === 0)
  })
})

const REHEARSED: readonly (readonly [string, Rehearsal, object])[] = [
  ['an error inside a response', { error: 'in-band' }, { failure: 'retry', status: 14 }],
  ['poison inside a response', { error: 'in-band', code: 3 }, { failure: 'reject', status: 3 }],
  [
    'missing rights inside a response',
    { error: 'in-band', code: 7 },
    { failure: 'stop', status: 7 },
  ],
  ['an error as status', { error: 'status' }, { failure: 'retry', status: 14 }],
  ['poison as status', { error: 'status', code: 3 }, { failure: 'reject', status: 3 }],
  ['missing credentials as status', { error: 'status', code: 16 }, { failure: 'stop', status: 16 }],
  [
    'a used-up quota',
    { error: 'resource-exhausted' },
    { failure: 'retry', code: 'MILLRACE_ANNOTATOR_OVER_QUOTA' },
  ],
  [
    'the death of the server',
    { error: 'die' },
    { failure: 'retry', code: 'MILLRACE_ANNOTATOR_UNAVAILABLE' },
  ],
]

describe.each([0, 150_000])('a rehearsed failure after %i bytes', (failAfterBytes) => {
  it.each(REHEARSED)(
    '%s comes once, as what it is, and the next stream goes well',
    async (_, rehearsal, expected) => {
      const { bytes, shots } = await smallClip()
      const unhandled = await unhandledDuring(async () => {
        await using server = await serve({ rehearsal: { ...rehearsal, failAfterBytes } })
        const annotator = client(server, { messageBytes: 20_000 })
        await expect(annotateWhole(annotator, cut(bytes, 30_000))).rejects.toMatchObject(expected)
        expect(await annotateWhole(annotator, cut(bytes, 30_000))).toEqual(shots)
      })
      expect(unhandled).toEqual([])
    },
  )
})

describe('what else can go wrong at the Google annotator', () => {
  it('rejects every later write with the first failure', async () => {
    const { bytes } = await smallClip()
    const unhandled = await unhandledDuring(async () => {
      await using server = await serve({ rehearsal: { error: 'status' } })
      const signal = new AbortController().signal
      const stream = await client(server).open({ videoId: 'v', signal, onProgress: () => {} })
      const first = await failureOf(
        (async () => {
          for (;;) await stream.write(bytes)
        })(),
      )
      expect(first).toMatchObject({ failure: 'retry', status: 14 })
      for (let i = 0; i < 3; i += 1) expect(await failureOf(stream.write(bytes))).toBe(first)
      expect(await failureOf(stream.done)).toBe(first)
    })
    expect(unhandled).toEqual([])
  })

  it('is told apart where nobody answers at the endpoint', async () => {
    const { bytes } = await smallClip()
    const server = await serve()
    const { endpoint } = server
    await server.close(0)
    await expect(annotateWhole(client({ endpoint }), [bytes])).rejects.toMatchObject({
      code: 'MILLRACE_ANNOTATOR_UNAVAILABLE',
      failure: 'retry',
      message: expect.stringContaining('ECONNREFUSED'),
    })
  })

  it('ends with its deadline, and the decoder with it', async () => {
    const { bytes } = await smallClip()
    await using server = await serve()
    const signal = new AbortController().signal
    const annotator = client(server, { deadlineMs: 400 })
    const stream = await annotator.open({ videoId: 'v', signal, onProgress: () => {} })
    // On a busy machine the deadline may come before there is a connection to write to.
    stream.write(bytes.subarray(0, 50_000)).catch(() => {})
    await expect(stream.done).rejects.toMatchObject({
      code: 'MILLRACE_ANNOTATOR_TOO_LATE',
      failure: 'retry',
    })
    await expectNothingLeft(['TCPServerWrap'])
    expect(server.openStreams).toBe(0)
  })

  it('gives over-quota streams back at once, and takes them when there is room', async () => {
    const { bytes, shots } = await smallClip()
    await using server = await serve({ rehearsal: { maxStreams: 1 } })
    const annotator = client(server)
    const signal = new AbortController().signal
    const first = await annotator.open({ videoId: 'a', signal, onProgress: () => {} })
    await first.write(bytes.subarray(0, 20_000))
    await expect(annotateWhole(annotator, [bytes])).rejects.toMatchObject({
      status: 8,
      failure: 'retry',
    })
    first.abort(new Error('enough'))
    await first.done.catch(() => {})
    await waitFor(() => server.openStreams === 0)
    expect(await annotateWhole(annotator, [bytes])).toEqual(shots)
  })

  it('is stopped by an endpoint that is no host and port', async () => {
    await expect(
      annotateWhole(
        google({ feature: 'shots', endpoint: 'http://localhost:1', insecure: true }),
        [],
      ),
    ).rejects.toMatchObject({ code: 'MILLRACE_ANNOTATOR_MISCONFIGURED', failure: 'stop' })
  })

  it('gives the same shots where answers are held back', async () => {
    const { bytes, shots } = await smallClip()
    await using server = await serve({ rehearsal: { latencyMs: 150 } })
    expect(await annotateWhole(client(server), [bytes])).toEqual(shots)
  })
})

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.unreachable('it did not fail'),
    (error: unknown) => error,
  )
}

async function waitFor(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 5_000
  while (!condition()) {
    expect(Date.now()).toBeLessThan(deadline)
    await clock.yield()
  }
}

/** A way to the server on which connections can be counted. */
async function tappedLine(endpoint: string) {
  const [host, port] = endpoint.split(':')
  const line = { opened: 0, open: 0, endpoint: '' }
  const tap = createServer((near) => {
    const far = connect(Number(port), host)
    line.opened += 1
    line.open += 1
    near.once('close', () => {
      line.open -= 1
      far.destroy()
    })
    near.on('error', () => {}).pipe(far)
    far.on('error', () => {}).pipe(near)
    far.once('close', () => near.destroy())
  })
  await new Promise<void>((resolve) => tap.listen(0, '127.0.0.1', resolve))
  line.endpoint = `127.0.0.1:${(tap.address() as AddressInfo).port}`
  return Object.assign(line, {
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => tap.close(() => resolve())),
  })
}
