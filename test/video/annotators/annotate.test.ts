import { beforeAll, describe, expect, it } from 'vitest'
import { crc32c } from '../../../model/crc32c.ts'
import { NO_HEADERS, StreamRecord } from '../../../model/record.ts'
import { systemClock } from '../../../runtime/system-clock.ts'
import { annotate } from '../../../video/annotators/annotate.ts'
import type { AnnotationProgress, Annotator } from '../../../video/annotators/annotator.ts'
import { AnnotatorError } from '../../../video/annotators/failure.ts'
import { google } from '../../../video/annotators/google.ts'
import { instant } from '../../../video/annotators/instant.ts'
import { serveAnnotator } from '../../../video/annotators/local-server.ts'
import { local } from '../../../video/annotators/local.ts'
import { StreamOutcome } from '../../../video/annotators/stream-outcome.ts'
import { probeVideo } from '../../../video/probe.ts'
import type { Annotation, Chunk, ChunkKey } from '../../../video/schemas.ts'
import type { VideoSource } from '../../../video/video-source.ts'
import { expectNothingLeft, unhandledDuring } from './leftovers.ts'
import { smallClip } from './small-clip.ts'

type Shots = Annotation['shots']

let chunks: readonly Chunk[] = []
/** What each chunk must be answered with, from how the clip was made. */
let expected: readonly Shots[] = []

beforeAll(async () => {
  const { bytes, shots } = await smallClip()
  chunks = await chunksOf(bytes, 40_000)
  expected = chunks.map(({ startUs, endUs }) =>
    shots.filter(
      (shot) => startUs !== null && endUs !== null && shot.startUs < endUs && shot.endUs >= startUs,
    ),
  )
})

async function chunksOf(bytes: Buffer, size: number): Promise<Chunk[]> {
  const source: VideoSource = {
    sizeBytes: bytes.length,
    place: 'clip.mp4',
    read: async (offset, target) => void bytes.copy(target, 0, offset),
  }
  const { times } = await probeVideo(source)
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => {
    const offset = index * size
    const part = bytes.subarray(offset, offset + size)
    const range = times?.rangeOf(offset, offset + part.length) ?? { startUs: null, endUs: null }
    const last = offset + part.length === bytes.length
    const facts = { videoId: 'v', offset, index, last, ...range, container: 'mp4' }
    return { ...facts, crc32c: crc32c(part), bytes: part }
  })
}

function recordOf(chunk: Chunk): StreamRecord<ChunkKey, Chunk> {
  return new StreamRecord({ videoId: chunk.videoId, offset: chunk.offset }, chunk, 0, NO_HEADERS)
}

function open(annotator: Annotator, signal = new AbortController().signal) {
  return annotate(annotator).open({ sessionKey: 'v', attempt: 1, signal })
}

/** Pushes all as `enrich` does, and gives the answers. */
async function answersOf(annotator: Annotator, video: readonly Chunk[]): Promise<Annotation[]> {
  const session = await open(annotator)
  const results: Promise<Annotation>[] = []
  for (const chunk of video) {
    const { taken, result } = session.push(recordOf(chunk))
    results.push(result)
    await taken
  }
  await session.end()
  return Promise.all(results)
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => expect.unreachable('it did not fail'),
    (error: unknown) => error,
  )
}

/** An annotator whose progress and end the test decides. */
function puppet() {
  const outcome = new StreamOutcome()
  const told = { bytes: 0, ended: false, aborted: undefined as Error | undefined }
  let report: (progress: AnnotationProgress) => void = () => {}
  const annotator: Annotator = {
    name: 'puppet',
    open: async ({ onProgress }) => {
      report = onProgress
      return {
        write: async (bytes) =>
          outcome.step((resolve) => ((told.bytes += bytes.length), resolve())),
        end: () => (told.ended = true),
        done: outcome.done,
        abort: (reason) => {
          told.aborted ??= reason
          outcome.fail(reason)
        },
      }
    },
  }
  return { annotator, told, outcome, report: (progress: AnnotationProgress) => report(progress) }
}

function plainChunk(index: number, facts: Partial<Chunk> = {}): Chunk {
  const bytes = Buffer.alloc(100, index)
  return {
    videoId: 'v',
    offset: index * 100,
    index,
    last: false,
    container: 'mp4',
    crc32c: 0,
    bytes,
    startUs: index * 1_000_000,
    endUs: (index + 1) * 1_000_000,
    ...facts,
  }
}

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const still = Symbol('still')
  for (let i = 0; i < 20; i += 1) await Promise.resolve()
  return (await Promise.race([promise.catch(() => {}), Promise.resolve(still)])) !== still
}

describe('annotating the chunks of a video', () => {
  it('answers each chunk with all shots that have a frame in it, by the local annotator', async () => {
    const answers = await answersOf(local(), chunks)
    expect(answers.map(({ shots }) => shots)).toEqual(expected)
    expect(answers.map(({ offset }) => offset)).toEqual(chunks.map(({ offset }) => offset))
    expect(answers[0]).toMatchObject({
      videoId: 'v',
      index: 0,
      container: 'mp4',
      annotator: 'local',
      status: 'complete',
    })
    expect(answers[0]).not.toHaveProperty('bytes')
  })

  it('answers the same by the Google client', async () => {
    await using server = await serveAnnotator({ clock: systemClock() })
    const annotator = google({ feature: 'shots', endpoint: server.endpoint, insecure: true })
    const answers = await answersOf(annotator, chunks)
    expect(answers.map(({ shots }) => shots)).toEqual(expected)
  })

  it('answers early chunks while later ones have not come', async () => {
    const session = await open(local())
    const first = chunks
      .slice(0, Math.ceil(chunks.length / 2))
      .map((chunk) => session.push(recordOf(chunk)))
    expect((await first[0]?.result)?.shots).toEqual(expected[0])
    session.abort(new Error('enough'))
    await expectNothingLeft()
  })

  it('gives equal answers in a session that was broken off anywhere and replayed', async () => {
    const whole = await answersOf(local(), chunks)
    for (const stop of [1, 4, chunks.length - 1]) {
      const session = await open(local())
      const early = chunks.slice(0, stop).map((chunk) => session.push(recordOf(chunk)))
      await early.at(-1)?.taken
      const settled = await Promise.all(
        early.map(async ({ result }) => ((await isSettled(result)) ? await result : undefined)),
      )
      session.abort(new Error('a crash'))
      for (const [i, answer] of settled.entries())
        if (answer !== undefined) expect(answer).toEqual(whole[i])
    }
    expect(await answersOf(local(), chunks)).toEqual(whole)
    await expectNothingLeft()
  })

  it('gives all shots to the last chunk where the container has no times', async () => {
    const { shots } = await smallClip()
    const untimed = chunks.map((chunk) => ({ ...chunk, startUs: null, endUs: null }))
    const answers = await answersOf(local(), untimed)
    expect(answers.at(-1)?.shots).toEqual(shots)
    expect(answers.slice(0, -1).every((answer) => answer.shots.length === 0)).toBe(true)
  })

  it('says which chunk is the last, how answers are kept and what failures mean', () => {
    const { isLast, value, classify } = annotate(local())
    expect(isLast(recordOf(plainChunk(0)))).toBe(false)
    expect(isLast(recordOf(plainChunk(0, { last: true })))).toBe(true)
    expect(value?.name).toBe('avro(millrace.video.Annotation)')
    expect(classify?.(new AnnotatorError('denied', 'x'))).toBe('stop')
  })

  it('answers every chunk but the last as it is taken where the annotator is instant', async () => {
    const session = await open(instant())
    const [first, last] = [plainChunk(0), plainChunk(1, { last: true })].map((chunk) =>
      session.push(recordOf(chunk)),
    )
    expect((await first?.result)?.shots).toEqual([])
    expect(last !== undefined && (await isSettled(last.result))).toBe(false)
    await session.end()
    expect((await last?.result)?.last).toBe(true)
  })
})

describe('a session of annotation', () => {
  it('answers no chunk before its bytes were taken, whatever the annotator says', async () => {
    const { annotator, report, told } = puppet()
    const session = await open(annotator)
    report({ shots: [], finalUs: Number.POSITIVE_INFINITY })
    expect(told.bytes).toBe(0)
    const { taken, result } = session.push(recordOf(plainChunk(0)))
    await taken
    expect(told.bytes).toBe(100)
    await result
  })

  it('rejects what is open and all that follows with the first failure, and drops the stream', async () => {
    const unhandled = await unhandledDuring(async () => {
      const { annotator, outcome, told, report } = puppet()
      const session = await open(annotator)
      const answered = session.push(recordOf(plainChunk(0)))
      const waiting = session.push(recordOf(plainChunk(1)))
      await waiting.taken
      report({ shots: [], finalUs: 1_000_000 })
      await answered.result
      const failure = new AnnotatorError('overQuota', 'too much')
      outcome.fail(failure)
      expect(await failureOf(waiting.result)).toBe(failure)
      const late = session.push(recordOf(plainChunk(2)))
      expect(await failureOf(late.taken)).toBe(failure)
      expect(await failureOf(late.result)).toBe(failure)
      await session.end()
      session.abort(new Error('and once more'))
      expect(told.aborted).toBe(failure)
      expect(told.ended).toBe(false)
    })
    expect(unhandled).toEqual([])
  })

  it('fails for good where a chunk is missing', async () => {
    const { annotator, told } = puppet()
    const session = await open(annotator)
    session.push(recordOf(plainChunk(0)))
    const beyond = session.push(recordOf(plainChunk(2)))
    const error = (await failureOf(beyond.result)) as Error
    expect(error).toMatchObject({ code: 'MILLRACE_CHUNK_MISSING' })
    expect(annotate(annotator).classify?.(error)).toBe('reject')
    expect(told.bytes).toBe(100)
  })

  it('answers a chunk that comes twice twice, and writes it once', async () => {
    const { annotator, outcome, told, report } = puppet()
    const session = await open(annotator)
    const pushed = [0, 1, 1, 0, 2].map((index) => session.push(recordOf(plainChunk(index))))
    await pushed.at(-1)?.taken
    expect(told.bytes).toBe(300)
    const shot = { startUs: 0, endUs: 1_500_000 }
    report({ shots: [shot], finalUs: 1_500_001 })
    const ended = session.end()
    outcome.succeed()
    await ended
    const answers = await Promise.all(pushed.map(({ result }) => result))
    expect(answers.map(({ index, shots }) => [index, shots.length])).toEqual([
      [0, 1],
      [1, 1],
      [1, 1],
      [0, 1],
      [2, 0],
    ])
  })

  it('stops where chunks of several videos come to one session, and names the option', async () => {
    const { annotator } = puppet()
    const session = await open(annotator)
    const error = (await failureOf(
      session.push(recordOf(plainChunk(0, { videoId: 'other' }))).result,
    )) as Error
    expect(error.message).toContain('orderBy: (key) => key.videoId')
    expect(annotate(annotator).classify?.(error)).toBe('stop')
  })
})
