import { once } from 'node:events'
import { mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { asOffset, asPartition, asTopic } from '../../model/position.ts'
import { BufferPool } from '../../transport/buffer-pool.ts'
import {
  frameHead,
  FrameReader,
  type Frame,
  type OutgoingFrame,
} from '../../transport/embedded/sharing/frame.ts'
import { fetchedFrom } from '../../transport/embedded/sharing/wire.ts'
import { removeSocket, withSocket } from '../../transport/embedded/sharing/socket-file.ts'
import { drawnSeed } from '../seed.ts'
import { randomFrom } from './embedded-writer-shape.ts'
import { openShared, received, send, TOPIC } from './sharing-world.ts'

const root = await mkdtemp(join(tmpdir(), 'millrace-sharing-'))
afterAll(() => rm(root, { recursive: true, force: true }))
let folders = 0
const newFolder = (): string => join(root, `log-${(folders += 1)}`)
const seed = drawnSeed()

describe('what a holder answers', () => {
  it('gives its buffer back once, also where nothing of it is to be seen', () => {
    let releases = 0
    const frame: Frame = {
      kind: 'answer',
      id: 1,
      words: { lastStableOffset: 1, batch: { nextOffset: 1, leaderEpoch: 0, sizeBytes: 0 } },
      payload: Buffer.alloc(0),
      release: () => void (releases += 1),
    }
    const topic = asTopic(TOPIC)
    const at = { topic, partition: asPartition(0), offset: asOffset(0) }
    const request = { ...at, isolation: 'read_committed', maxBytes: 1, topicId: 'id' } as const
    const { batch } = fetchedFrom(frame, { ...request, leaderEpoch: undefined })
    expect(batch?.nextOffset).toBe(1)
    batch?.release()
    expect(releases).toBe(1)
  })
})

describe('frames', () => {
  const buffers = new BufferPool(10_000_000)

  it(`come out as they went in, however the socket cuts them (seed ${seed})`, () => {
    const random = randomFrom(seed)
    for (let round = 0; round < 100; round += 1) {
      const sent = Array.from({ length: 1 + Math.floor(random() * 8) }, (_, id): OutgoingFrame => {
        const parts = Array.from({ length: Math.floor(random() * 4) }, () =>
          Buffer.alloc(Math.floor(random() ** 4 * 200_000), String(id)),
        )
        return { kind: 'answer', id, words: { id, text: 'ä'.repeat(id) }, payload: parts }
      })
      const bytes = Buffer.concat(
        sent.flatMap((frame) => [frameHead(frame), ...(frame.payload ?? [])]),
      )
      const came: Frame[] = []
      const reader = new FrameReader({ buffers, payloadBytes: 1_000_000 }, (frame) =>
        came.push(frame),
      )
      for (let at = 0; at < bytes.length;) {
        const most = 1 + Math.floor(random() ** 3 * 100_000)
        if (random() < 0.5) {
          reader.take(bytes.subarray(at, at + most))
          at += most
        } else {
          const { into } = reader
          const count = Math.min(into.length, most, bytes.length - at)
          bytes.copy(into, 0, at, at + count)
          reader.filled(into, count)
          at += count
        }
      }
      expect(came.map(({ kind, id, words }) => ({ kind, id, words }))).toEqual(
        sent.map(({ kind, id, words }) => ({ kind, id, words })),
      )
      for (const [index, { payload }] of came.entries()) {
        expect(payload.equals(Buffer.concat(sent[index]?.payload ?? []))).toBe(true)
      }
      for (const { release } of came) release()
    }
  })

  it.each([
    ['no mark', (head: Buffer) => head.writeUInt16BE(7, 0)],
    ['another version', (head: Buffer) => (head[2] = 9)],
    ['an unknown kind', (head: Buffer) => (head[3] = 200)],
    ['words without end', (head: Buffer) => head.writeUInt32BE(0xffffffff, 8)],
    ['a payload over the limit', (head: Buffer) => head.writeUInt32BE(1_001, 12)],
    ['words that are no JSON', (head: Buffer) => head.write('{', 16)],
  ])('with %s are refused', (_, spoil) => {
    const head = frameHead({ kind: 'request', id: 1, words: [] })
    spoil(head)
    const reader = new FrameReader({ buffers, payloadBytes: 1_000 }, () => undefined)
    expect(() => reader.take(head)).toThrow(
      expect.objectContaining({ code: 'MILLRACE_LOG_PROTOCOL' }),
    )
  })
})

describe('the socket of a shared log', () => {
  it('is there for its user alone while the log is held, and gone afterwards', async () => {
    const folder = newFolder()
    {
      await using _log = await openShared(folder)
      const { mode } = await stat(join(folder, 'log.sock'))
      expect(mode & 0o777).toBe(0o600)
    }
    expect(await readdir(folder)).not.toContain('log.sock')
  })

  it('is reached in a folder whose path is longer than a socket may have', async () => {
    const folder = join(newFolder(), 'a'.repeat(100), 'b'.repeat(100))
    await using holder = await openShared(folder)
    await using guest = await openShared(folder)
    await holder.admin.createTopics([{ topic: TOPIC, partitions: 1 }])
    await send(guest, ['through'])
    expect(await received(holder, 1)).toEqual(['through'])
    expect((await readdir(folder)).filter((name) => name.includes('sock'))).toEqual(['log.sock'])
  })

  it('that a dead holder left is replaced', async () => {
    const folder = newFolder()
    await (await openShared(folder))[Symbol.asyncDispose]()
    const stale = createServer()
    stale.listen(join(folder, 'stale.sock'))
    await once(stale, 'listening')
    await rename(join(folder, 'stale.sock'), join(folder, 'log.sock'))
    await new Promise((resolve) => stale.close(resolve))
    expect(await readdir(folder)).toContain('log.sock')
    await using holder = await openShared(folder)
    await using guest = await openShared(folder)
    await guest.admin.createTopics([{ topic: TOPIC, partitions: 1 }])
    expect(await holder.admin.describeTopics([TOPIC])).toHaveLength(1)
  })
})

describe('a stranger at the socket', () => {
  it('is told that it is one and dropped, and the others go on', async () => {
    const folder = newFolder()
    await using log = await openShared(folder)
    const said = await withSocket(folder, async (path) => {
      const stranger = connect(path)
      stranger.write('GET / HTTP/1.1\r\n\r\n'.repeat(10_000))
      stranger.on('error', () => undefined)
      const chunks: Buffer[] = []
      stranger.on('data', (chunk: Buffer) => chunks.push(chunk))
      await once(stranger, 'close')
      return Buffer.concat(chunks).toString()
    })
    expect(said).toContain('MILLRACE_LOG_PROTOCOL')
    await log.admin.createTopics([{ topic: TOPIC, partitions: 1 }])
    await using guest = await openShared(folder)
    expect(await guest.admin.describeTopics([TOPIC])).toHaveLength(1)
  })

  it('that says nothing is dropped after a while', async () => {
    const folder = newFolder()
    await using _log = await openShared(folder, { handshakeMs: 20 })
    await withSocket(folder, async (path) => {
      const stranger = connect(path)
      stranger.resume()
      await once(stranger, 'close')
    })
  })

  it('that asks before it greets is dropped', async () => {
    const folder = newFolder()
    await using _log = await openShared(folder)
    await withSocket(folder, async (path) => {
      const stranger = connect(path)
      stranger.write(frameHead({ kind: 'request', id: 1, words: ['ask', 'describeTopics', {}] }))
      stranger.resume()
      await once(stranger, 'close')
    })
  })

  it('that answers in place of a holder is an error, and not taken for the log', async () => {
    const folder = newFolder()
    await (await openShared(folder))[Symbol.asyncDispose]()
    await removeSocket(folder)
    const imposter = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.resume().end('I am no log at all')
    })
    imposter.listen(join(folder, 'log.sock'))
    await once(imposter, 'listening')
    await expect(openShared(folder)).rejects.toMatchObject({ code: 'MILLRACE_LOG_PROTOCOL' })
    await new Promise((resolve) => imposter.close(resolve))
  })
})
