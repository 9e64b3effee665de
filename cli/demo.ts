/** `millrace demo`: the whole video pipeline in one process, on the embedded log, checked at the end. */
import { basename, join } from 'node:path'
import { streams, type StreamsApp } from '../runtime/app.ts'
import { PayloadCache } from '../runtime/payload-cache.ts'
import { google } from '../video/annotators/google.ts'
import { serveAnnotator } from '../video/annotators/local-server.ts'
import { makeClip, type Clip } from '../video/clip.ts'
import { ingest } from '../video/ingest.ts'
import { readJoinedVideo, reassembleJoined, type JoinedVideos } from '../video/joined-video.ts'
import type { VideoState } from '../video/schemas.ts'
import { partitionOfVideo, RAW_TOPIC, videoTopics } from '../video/topics.ts'
import { videoEnrichment } from '../video/pipeline.ts'
import { defineCommand, type CommandContext } from './command.ts'
import { reportVideo } from './demo-report.ts'
import { EXIT } from './exit-codes.ts'
import { showProgress, showResult } from './ingest.ts'
import { openLog, type OpenLog } from './open-log.ts'
import { flag, folder, size, withDefault } from './options.ts'
import { drive, showEvent } from './run.ts'

/** Bytes of values kept while the videos are put together again. */
const CHECK_CACHE_BYTES = 16 * 2 ** 20
/** What the topics take at least, so that the next demo in the same folder may choose larger chunks. */
const LARGEST_USUAL_CHUNK_BYTES = 32 * 2 ** 20
/** How often progress is looked at. */
const LOOK_MS = 200

/** The command. */
export const demoCommand = defineCommand({
  name: 'demo',
  summary: 'runs the video pipeline on a clip it makes, or on your own files',
  details:
    'Slices each file into chunks, has its shots found through the Google client by a local\n' +
    'annotator, joins chunks with annotations exactly once, and checks what came out.\n' +
    'Started again after a crash it goes on where it was and ends with the same result.',
  operands: { usage: '[file…]', least: 0, most: Infinity },
  options: {
    dir: withDefault(folder, '.millrace/demo', 'where the log, the state and the results are kept'),
    chunk: withDefault(size, '5MiB', 'how large a chunk is'),
    small: flag('makes a clip of 2 MB in place of 46 MB'),
  },
  examples: [
    { line: 'millrace demo', says: 'makes a clip with 24 cuts and finds them' },
    { line: 'millrace demo holiday.mp4 --chunk 10MiB', says: 'your own video, in larger chunks' },
    { line: 'millrace demo --small --json', says: 'the shortest form, for a program' },
  ],
  run: async ({ operands, options, ...context }) => {
    const { dir, chunk, small } = options
    const clip = operands.length > 0 ? undefined : await prepareClip(dir, small, context)
    const files = clip === undefined ? operands : [clip.path]
    await using log = await openLog(join(dir, 'log'), { ...context, isAlone: true })
    await createTopics(log, chunk)
    const videos = await ingestAll(files, { ...context, log, chunkBytes: chunk })
    await annotateAll(videos, { ...context, log, dir })
    let isRight = true
    for (const video of videos) {
      isRight = (await check(video, { ...context, log, dir, clip })) && isRight
    }
    return isRight ? EXIT.done : EXIT.checkFailed
  },
})

/** The pipeline's topics, made for chunks of this size; those that are there stay as they are. */
async function createTopics({ transport }: OpenLog, chunkBytes: number): Promise<void> {
  const topics = videoTopics({ chunkBytes: Math.max(chunkBytes, LARGEST_USUAL_CHUNK_BYTES) })
  const there = await transport.admin.describeTopics(topics.map(({ topic }) => topic))
  const missing = topics.filter(({ topic }) => there.every((known) => known.topic !== topic))
  await transport.admin.createTopics(missing)
}

interface DemoContext extends CommandContext {
  readonly log: OpenLog
}

async function prepareClip(dir: string, small: boolean, context: CommandContext): Promise<Clip> {
  const { output, signal } = context
  output.note('clip: making one with cuts at known times, or taking the one that was made before')
  const clip = await makeClip({
    folder: join(dir, 'clips'),
    size: small ? 'small' : 'demo',
    signal,
  })
  const { cutsUs, durationUs } = clip
  output.note(`clip: ${cutsUs.length} cuts in ${(durationUs / 1e6).toFixed(1)} s of video`)
  return clip
}

async function ingestAll(
  files: readonly string[],
  { log, output, clock, signal, chunkBytes }: DemoContext & { readonly chunkBytes: number },
): Promise<readonly VideoState[]> {
  const videos: VideoState[] = []
  for (const path of files) {
    const progress = output.progress(`ingest ${basename(path)}`, { unit: 'bytes' })
    const { transport, registry } = log
    const onProgress = (state: Parameters<typeof showProgress>[1]): void =>
      showProgress(progress, state)
    const result = await ingest({
      transport,
      registry,
      clock,
      path,
      chunkBytes,
      signal,
      onProgress,
    })
    progress.end()
    showResult(output, path, result)
    videos.push(result.video)
  }
  return videos
}

/** Runs the pipeline with the real Google client against a local annotator, until nothing is left to do. */
async function annotateAll(
  videos: readonly VideoState[],
  { log, dir, ...context }: DemoContext & { readonly dir: string },
): Promise<void> {
  const { clock, output, signal } = context
  await using server = await serveAnnotator({ clock })
  const annotator = google({ feature: 'shots', endpoint: server.endpoint, insecure: true })
  const { transport, registry } = log
  await using app = streams(videoEnrichment(annotator), {
    transport,
    registry,
    clock,
    state: { kind: 'folder', folder: join(dir, 'state') },
    onEvent: (event) => {
      if (event.kind !== 'state' && event.kind !== 'unit-started') showEvent(output, event)
    },
  })
  using _ = showJoined(app, videos, context)
  await drive(app, context, true)
  signal.throwIfAborted()
}

/** Shows how many chunks are joined, until it is disposed. */
function showJoined(
  app: StreamsApp,
  videos: readonly VideoState[],
  { clock, output }: CommandContext,
): Disposable {
  const total = videos.reduce((sum, { chunks }) => sum + chunks, 0)
  const progress = output.progress('annotate and join', { unit: 'chunks', total })
  const look = (): void => {
    const joined = app.counters().filter(({ name }) => name === 'joined')
    progress.update(joined.reduce((sum, { value }) => sum + value, 0))
    timer = clock.timer(LOOK_MS, look)
  }
  let timer = clock.timer(LOOK_MS, look)
  return {
    [Symbol.dispose]: () => {
      look()
      timer.cancel()
      progress.end()
    },
  }
}

async function check(
  video: VideoState,
  context: DemoContext & { readonly dir: string; readonly clip: Clip | undefined },
): Promise<boolean> {
  const { log, clock, signal, output, dir, clip } = context
  const { transport, registry } = log
  const [raw] = await transport.admin.describeTopics([RAW_TOPIC])
  if (raw === undefined) throw new TypeError(`${RAW_TOPIC} is gone`)
  await using reader = transport.openReader({ isolation: 'read_uncommitted', prefetchBytes: 0 })
  const payloads = new PayloadCache(reader, { maxBytes: CHECK_CACHE_BYTES })
  payloads.addTopic(raw.topicId, raw.topic)
  const source: JoinedVideos = { transport, registry, clock, payloads, signal }
  const partition = partitionOfVideo(video.videoId, raw.partitions)
  const joined = await readJoinedVideo(source, { videoId: video.videoId, partition })
  const reassembled = await reassembleJoined(source, joined, video)
  return await reportVideo({
    video,
    joined,
    reassembled,
    clip,
    output,
    folder: join(dir, 'results'),
  })
}
