import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { StreamsEvent } from '../../runtime/config.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { google } from '../../video/annotators/google.ts'
import { serveAnnotator } from '../../video/annotators/local-server.ts'
import type { Rehearsal } from '../../video/annotators/rehearsal.ts'
import { makeClip } from '../../video/clip.ts'
import { videoEnrichment } from '../../video/pipeline.ts'
import { expectNothingLeft, openResources } from './annotators/leftovers.ts'
import {
  ingestAll,
  openPipelineWorld,
  outputsOf,
  rightFor,
  runPipeline,
  verdictOn,
  type Outputs,
} from './pipeline-world.ts'

let folder = ''
let files: readonly string[] = []
/** What a run in which nothing fails writes. */
let undisturbed: Outputs

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'millrace-pipeline-failures-'))
  files = [(await makeClip({ folder, size: 'small' })).path]
  ;({ outputs: undisturbed } = await runWith({}))
})

afterAll(() => rm(folder, { recursive: true, force: true }))

/** Ingests the clip and runs it through the real Google client against a server that rehearses failures. */
async function runWith(rehearsal: Rehearsal): Promise<{ outputs: Outputs; retries: number }> {
  await using world = await openPipelineWorld()
  await ingestAll(world, files)
  await using server = await serveAnnotator({ clock: world.clock, rehearsal })
  const annotator = google({ feature: 'shots', endpoint: server.endpoint, insecure: true })
  const counters = await runPipeline(world, videoEnrichment(annotator, { backoffMs: 10 }))
  return { outputs: await outputsOf(world), retries: counters.get('retries') ?? 0 }
}

/** Where a stream of 2 MB fails: before anything is answered, in the middle, and when most is. */
const PLACES = [0, 400_000, 1_900_000]

describe.each(['in-band', 'status', 'resource-exhausted', 'die'] as const)(
  'a stream that fails: %s',
  (error) => {
    test.each(PLACES)(
      'is opened again, and the outputs are those of a run without it, record for record: after %d bytes',
      async (failAfterBytes) => {
        const { outputs, retries } = await runWith({ error, failAfterBytes, times: 2 })
        expect(outputs).toEqual(undisturbed)
        expect(retries).toBe(2)
      },
    )
  },
)

describe('an annotator that cannot be reached', () => {
  test('is tried again within the limits, then ends the app and loses nothing', async () => {
    const before = openResources()
    await using world = await openPipelineWorld()
    const videos = await ingestAll(world, files)
    const limits = { attempts: 4, backoffMs: 5 }
    const nowhere = google({ feature: 'shots', endpoint: await unusedEndpoint(), insecure: true })
    const events: StreamsEvent[] = []
    const onEvent = (event: StreamsEvent): void => void events.push(event)
    await expect(
      runPipeline(world, videoEnrichment(nowhere, limits), { onEvent }),
    ).rejects.toMatchObject({
      code: 'MILLRACE_ENRICH_FAILED',
      place: 'annotate',
      message: expect.stringMatching(/annotate.*cannot be reached|UNAVAILABLE.*nothing is lost/s),
      cause: { code: 'MILLRACE_ANNOTATOR_UNAVAILABLE' },
    })
    const notices = events.flatMap((event) => (event.kind === 'notice' ? [event.message] : []))
    expect(notices).toEqual([expect.stringMatching(/annotate.*try 1 of 4.*is tried again/)])
    const { enriched, joined } = await outputsOf(world)
    expect({ enriched, joined }).toEqual({ enriched: [], joined: [] })
    await expectNothingLeft(before)

    await using server = await serveAnnotator({ clock: world.clock })
    const there = google({ feature: 'shots', endpoint: server.endpoint, insecure: true })
    await runPipeline(world, videoEnrichment(there))
    const outputs = await outputsOf(world)
    expect(outputs).toEqual(undisturbed)
    for (const video of videos) expect(verdictOn(video, outputs)).toEqual(rightFor(video))
  })

  test('ends the app at the total deadline, however many attempts are left', async () => {
    await using world = await openPipelineWorld('memory')
    await ingestAll(world, files)
    const limits = { attempts: 1e6, backoffMs: 5, maxBackoffMs: 5, totalDeadlineMs: 300 }
    const nowhere = google({ feature: 'shots', endpoint: await unusedEndpoint(), insecure: true })
    const began = systemClock().monotonic()
    await expect(runPipeline(world, videoEnrichment(nowhere, limits))).rejects.toMatchObject({
      cause: { code: 'MILLRACE_ANNOTATOR_UNAVAILABLE' },
    })
    expect(systemClock().monotonic() - began).toBeGreaterThanOrEqual(300)
  })
})

/** A port that was free a moment ago. */
async function unusedEndpoint(): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return `127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
}
