/**
 * What every annotator must do, as tests that take their runner from outside: `test(title, run)`.
 * Whoever writes an annotator runs them against it.
 */
import assert from 'node:assert/strict'
import type { Shot } from '../schemas.ts'
import type { AnnotationProgress, AnnotationStream, Annotator } from './annotator.ts'
import { AnnotatorError } from './failure.ts'

/** What the suite needs to know of an annotator. */
export interface AnnotatorHarness {
  /** Opens the annotator for one test. */
  readonly open: () => Promise<OpenAnnotator>
  /** A video that can be decoded from a stream, and its shots; at least three. */
  readonly clip: () => Promise<AnnotatedClip>
  /** False for an annotator that does not look at the videos: then what it finds in them is not tested, and each skip is reported. */
  readonly looks: boolean
  /** Told of each test that is left out, and why. */
  readonly onSkip?: (title: string, reason: string) => void
}

/** An annotator, and how to get rid of what it needs. */
export interface OpenAnnotator extends AsyncDisposable {
  readonly annotator: Annotator
}

/** A video whose shots are known. */
export interface AnnotatedClip {
  readonly bytes: Buffer
  readonly shots: readonly Shot[]
  /** How long a frame is shown: how far a cut that was found may lie from the true one. */
  readonly frameUs: number
}

type RunTest = (title: string, run: () => Promise<void>) => void

/** Declares the tests with `test`. */
export function annotatorConformance(harness: AnnotatorHarness, test: RunTest): void {
  const looking: RunTest = (title, run) => {
    if (harness.looks) test(title, run)
    else harness.onSkip?.(title, 'the annotator does not look at videos')
  }
  findsShots(harness, looking)
  keepsItsWord(harness, test)
  failsOnce(harness, test, looking)
}

function findsShots({ open, clip }: AnnotatorHarness, test: RunTest): void {
  test('finds every shot of a clip within one frame, and no other', async () => {
    const { bytes, shots, frameUs } = await clip()
    await using opened = await open()
    const found = await annotateWhole(opened.annotator, [bytes])
    assert.equal(found.length, shots.length, `found ${JSON.stringify(found)}`)
    for (const [i, shot] of shots.entries()) {
      const near = found[i]
      assert.ok(near !== undefined && Math.abs(near.startUs - shot.startUs) <= frameUs + 1)
      assert.ok(Math.abs(near.endUs - shot.endUs) <= frameUs + 1, `shot ${i} ends ${near.endUs}`)
    }
  })

  test('finds the same shots however the bytes are cut', async () => {
    const { bytes } = await clip()
    await using opened = await open()
    const whole = await annotateWhole(opened.annotator, [bytes])
    for (const size of [1_000, 4_099, 65_536, 300_000]) {
      assert.deepEqual(await annotateWhole(opened.annotator, cut(bytes, size)), whole)
    }
  })

  test('keeps two videos apart that are open at the same time', async () => {
    const { bytes } = await clip()
    await using opened = await open()
    const { annotator } = opened
    const half = bytes.subarray(0, Math.floor(bytes.length / 2))
    const [whole, part] = [
      await annotateWhole(annotator, [bytes]),
      await annotateWhole(annotator, [half]),
    ]
    assert.deepEqual(
      await Promise.all([
        annotateWhole(annotator, cut(bytes, 50_000)),
        annotateWhole(annotator, cut(half, 30_000)),
      ]),
      [whole, part],
    )
  })

  test('answers a video that breaks off with the shots up to there', async () => {
    const { bytes, shots } = await clip()
    await using opened = await open()
    const found = await annotateWhole(opened.annotator, [
      bytes.subarray(0, Math.floor(bytes.length * 0.7)),
    ])
    const full = found.slice(0, -1)
    assert.ok(found.length > 0 && found.length <= shots.length)
    const end = found.at(-1)?.endUs ?? 0
    assert.ok(end > 0 && end < (shots.at(-1)?.endUs ?? 0), `the last shot ends at ${end}`)
    assert.equal(full.length, found.length - 1)
  })
}

function keepsItsWord({ open, clip }: AnnotatorHarness, test: RunTest): void {
  test('reports shots in the order of time, and none before what it called final', async () => {
    const { bytes } = await clip()
    await using opened = await open()
    const reports: AnnotationProgress[] = []
    await feed(await begin(opened.annotator, (report) => reports.push(report)), cut(bytes, 20_000))
    let finalUs = 0
    let lastEndUs = -1
    for (const report of reports) {
      for (const { startUs, endUs } of report.shots) {
        assert.ok(startUs >= finalUs, `a shot begins at ${startUs}, ${finalUs} was final`)
        assert.ok(startUs > lastEndUs && endUs >= startUs)
        lastEndUs = endUs
      }
      assert.ok(report.finalUs >= finalUs, 'what is final became less')
      assert.ok(report.finalUs > lastEndUs, 'a shot was reported that is not final')
      finalUs = report.finalUs
    }
    assert.equal(finalUs, Number.POSITIVE_INFINITY)
  })

  test('reports nothing after it is done', async () => {
    const { bytes } = await clip()
    await using opened = await open()
    let isDone = false
    const stream = await begin(opened.annotator, () => assert.equal(isDone, false))
    await feed(stream, [bytes])
    isDone = true
    stream.abort(new Error('too late to matter'))
    await stream.done
  })

  test('is not done before the end of the video was said', async () => {
    const { bytes } = await clip()
    await using opened = await open()
    const stream = await begin(opened.annotator)
    let isDone = false
    void stream.done.then(() => (isDone = true))
    await stream.write(bytes)
    assert.equal(isDone, false)
    stream.end()
    await stream.done
  })
}

function failsOnce({ open, clip }: AnnotatorHarness, test: RunTest, looking: RunTest): void {
  looking('rejects what is no video, and says so to whoever writes on', async () => {
    await using opened = await open()
    const noise = Buffer.alloc(200_000, 'this is no video')
    const stream = await begin(opened.annotator)
    const error = await failureOf(feed(stream, cut(noise, 10_000)))
    assert.ok(error instanceof AnnotatorError, String(error))
    assert.equal(error.failure, 'reject')
    assert.equal(await failureOf(stream.write(noise)), error)
    assert.equal(await failureOf(stream.done), error)
  })

  looking('rejects a video without a byte', async () => {
    await using opened = await open()
    const error = await failureOf(feed(await begin(opened.annotator), []))
    assert.ok(error instanceof AnnotatorError, String(error))
    assert.equal(error.failure, 'reject')
  })

  test('drops a stream at once when it is aborted, with the reason', async () => {
    const { bytes } = await clip()
    await using opened = await open()
    const reason = new Error('not wanted any more')
    const stream = await begin(opened.annotator)
    await stream.write(bytes.subarray(0, 10_000))
    stream.abort(reason)
    stream.abort(new Error('a second time'))
    assert.equal(await failureOf(stream.done), reason)
    assert.equal(await failureOf(stream.write(bytes)), reason)
  })

  test('drops a stream when its signal aborts', async () => {
    const { bytes } = await clip()
    await using opened = await open()
    const controller = new AbortController()
    const stream = await opened.annotator.open({
      videoId: 'aborted',
      signal: controller.signal,
      onProgress: () => {},
    })
    await stream.write(bytes.subarray(0, 10_000))
    const reason = new Error('the task goes away')
    controller.abort(reason)
    assert.equal(await failureOf(stream.done), reason)
    const late = opened.annotator.open({
      videoId: 'late',
      signal: controller.signal,
      onProgress: () => {},
    })
    assert.equal(await failureOf(late), reason)
  })
}

/** All shots that `annotator` finds in a video that comes in these parts. */
export async function annotateWhole(
  annotator: Annotator,
  parts: readonly Buffer[],
): Promise<readonly Shot[]> {
  const shots: Shot[] = []
  await feed(await begin(annotator, (report) => shots.push(...report.shots)), parts)
  return shots
}

async function begin(
  annotator: Annotator,
  onProgress: (progress: AnnotationProgress) => void = () => {},
): Promise<AnnotationStream> {
  const { signal } = new AbortController()
  return annotator.open({ videoId: 'conformance', signal, onProgress })
}

async function feed(stream: AnnotationStream, parts: readonly Buffer[]): Promise<void> {
  for (const part of parts) await stream.write(part)
  stream.end()
  await stream.done
}

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => assert.fail('it did not fail'),
    (error: unknown) => error,
  )
}

function cut(bytes: Buffer, size: number): readonly Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
    bytes.subarray(i * size, (i + 1) * size),
  )
}
