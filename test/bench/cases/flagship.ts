/**
 * The video pipeline over a log that holds one ingested video, from its start until it has caught up:
 * exactly once, LevelDB on disk, an annotator that answers at once. Three forms: everything by
 * reference; state by reference and whole chunks in the output; whole chunks in the state, too.
 */
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { hours } from '../../../model/duration.ts'
import { referenceSchema } from '../../../processors/reference-serde.ts'
import { streams } from '../../../runtime/app.ts'
import { systemClock } from '../../../runtime/system-clock.ts'
import { avro } from '../../../serdes/avro.ts'
import { topology } from '../../../topology/builder.ts'
import type { Topology } from '../../../topology/graph.ts'
import { annotate } from '../../../video/annotators/annotate.ts'
import { instant } from '../../../video/annotators/instant.ts'
import { videoEnrichmentWithBytes } from '../../../video/pipeline-with-bytes.ts'
import { videoEnrichment } from '../../../video/pipeline.ts'
import { AnnotatedChunkBytes, Annotation, Chunk, ChunkKey } from '../../../video/schemas.ts'
import { ENRICHED_TOPIC, JOINED_TOPIC, RAW_TOPIC } from '../../../video/topics.ts'
import type { BenchCase, BenchPlace, BenchVariant, Measure } from '../bench-case.ts'
import { CHUNK_MIBS, ingestVideo, openLog } from './ingest.ts'
import { plainCopy, prepareVideo, systemCopy } from './plain-copy.ts'

interface Form {
  readonly name: string
  readonly pipeline: () => Topology
}

const FORMS: readonly Form[] = [
  { name: 'by reference', pipeline: () => videoEnrichment(instant()) },
  { name: 'bytes in the output', pipeline: bytesInTheOutput },
  { name: 'bytes in state and output', pipeline: () => videoEnrichmentWithBytes(instant()) },
]

/** What the join answers, before the reference gives way to the chunk. */
const Pair = {
  type: 'record',
  name: 'Pair',
  fields: [
    { name: 'chunk', type: referenceSchema },
    { name: 'annotation', type: Annotation },
  ],
} as const

/** The flagship with the chunk itself in its output; the state keeps references. */
function bytesInTheOutput(): Topology {
  const videoOf = (key: ChunkKey): string => key.videoId
  return topology('video-enrichment-out', ({ stream }) => {
    const raw = stream(RAW_TOPIC, {
      key: avro(ChunkKey),
      value: avro(Chunk),
      partitionBy: videoOf,
    }).byReference()
    const shots = raw.enrich('annotate', annotate(instant()), { orderBy: videoOf })
    shots.to(ENRICHED_TOPIC, { value: avro(Annotation) })
    raw
      .joinOnce('annotated', shots, (chunk, annotation) => ({ chunk, annotation }), {
        expireAfter: hours(6),
        value: avro(Pair),
      })
      .dereference({
        from: raw,
        select: ({ chunk }) => chunk,
        replace: ({ annotation }, chunk) => ({ chunk: there(chunk), annotation }),
      })
      .to(JOINED_TOPIC, { value: avro(AnnotatedChunkBytes) })
  })
}

function there(chunk: Chunk | null): Chunk {
  if (chunk === null) throw new TypeError('a pair without a reference')
  return chunk
}

function variant(mib: number, form: Form): BenchVariant {
  return {
    name: `${form.name}, ${mib} MiB chunks`,
    prepare: async (place) => {
      await prepareVideo(place)
      await using log = await openLog(place)
      await ingestVideo(log, place, mib * 2 ** 20)
    },
    run: async (place, measure) => await runPipeline(form.pipeline(), place, measure),
  }
}

async function runPipeline(pipeline: Topology, place: BenchPlace, measure: Measure): Promise<void> {
  await using log = await openLog(place)
  const state = join(place.folder, 'state')
  const { transport, registry } = log
  await measure(async () => {
    await using app = streams(pipeline, {
      transport,
      registry,
      clock: systemClock(),
      state: { kind: 'folder', folder: state },
    })
    await app.start()
    await app.caughtUp()
    await app.close()
    const topics = join(place.folder, 'log', 'topics')
    const changelogs = (await readdir(topics)).filter((name) => name.endsWith('-changelog'))
    return {
      amount: place.sizeBytes,
      bytes: {
        state: await folderBytes(state),
        changelog: await sum(changelogs.map((name) => folderBytes(join(topics, name)))),
        joined: await folderBytes(join(topics, JOINED_TOPIC)),
      },
    }
  })
}

async function folderBytes(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  return await sum(files.map(async (file) => (await stat(join(file.parentPath, file.name))).size))
}

async function sum(numbers: readonly Promise<number>[]): Promise<number> {
  let total = 0
  for (const number of await Promise.all(numbers)) total += number
  return total
}

/** The case. */
export const flagship: BenchCase = {
  name: 'flagship',
  summary:
    'the video pipeline, exactly once, until caught up, with an annotator that answers at once',
  unit: 'bytes',
  compares: true,
  variants: [
    plainCopy,
    systemCopy,
    ...FORMS.flatMap((form) => CHUNK_MIBS.map((mib) => variant(mib, form))),
  ],
}
