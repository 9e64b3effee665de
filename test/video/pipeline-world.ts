/** The whole pipeline in one process: files in, what came out as values that two runs can be compared by. */
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { LogRecord } from '../../model/record.ts'
import { asPartition, type Topic } from '../../model/position.ts'
import { streams, type StreamsApp } from '../../runtime/app.ts'
import type { StreamsOptions } from '../../runtime/config.ts'
import { PayloadCache } from '../../runtime/payload-cache.ts'
import { avro } from '../../serdes/avro.ts'
import type { Serde } from '../../serdes/serde.ts'
import type { Topology } from '../../topology/graph.ts'
import { ingest } from '../../video/ingest.ts'
import { scanLog } from '../../video/log-scan.ts'
import {
  AnnotatedChunk,
  AnnotatedChunkBytes,
  Annotation,
  Chunk,
  ChunkKey,
  type VideoState,
} from '../../video/schemas.ts'
import { ENRICHED_TOPIC, JOINED_TOPIC, RAW_TOPIC, videoTopics } from '../../video/topics.ts'
import type { Clip } from '../../video/clip.ts'
import { cutsOf, listShots } from '../../video/shot-list.ts'
import { overwriting } from '../overwritten-batches.ts'
import { openWorld, type LogWorld } from './log-world.ts'

/** Small, so that a clip of 2 MB has many and its shots straddle them. */
export const CHUNK_BYTES = 64 * 1024

/** A log with its registry and a folder for state. */
export interface PipelineWorld extends LogWorld {
  readonly folder: string
}

export async function openPipelineWorld(
  log: 'memory' | 'embedded' = 'embedded',
  { partitions = 1 }: { readonly partitions?: number } = {},
): Promise<PipelineWorld> {
  const folder = await mkdtemp(path.join(tmpdir(), 'millrace-pipeline-'))
  const world = await openWorld(log)
  await world.transport.admin.createTopics(videoTopics({ partitions }))
  const { transport, registry, clock } = world
  return {
    transport,
    registry,
    clock,
    folder,
    [Symbol.asyncDispose]: async () => {
      await world[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Ingests the files at once, so that their chunks lie between each other's in the log. */
export async function ingestAll(
  { transport, registry, clock }: PipelineWorld,
  files: readonly string[],
): Promise<readonly VideoState[]> {
  const options = { transport, registry, clock, chunkBytes: CHUNK_BYTES }
  const transactionBytes = 4 * CHUNK_BYTES
  const results = files.map((file) => ingest({ ...options, path: file, transactionBytes }))
  return (await Promise.all(results)).map(({ video }) => video)
}

/** An app on this world. */
export function appOn(
  { transport, registry, clock, folder }: PipelineWorld,
  topology: Topology,
  options: Partial<StreamsOptions> = {},
): StreamsApp {
  const state = { kind: 'folder', folder: path.join(folder, 'state') } as const
  // A batch that is read after it was given back shows as a wrong output.
  return streams(topology, {
    transport: overwriting(transport),
    registry,
    clock,
    state,
    ...options,
  })
}

/** Runs a pipeline until nothing is left to do. Rejects with what it fails of. Gives the counters by name. */
export async function runPipeline(
  world: PipelineWorld,
  topology: Topology,
  options: Partial<StreamsOptions> = {},
): Promise<ReadonlyMap<string, number>> {
  await using app = appOn(world, topology, options)
  await app.start()
  await app.caughtUp()
  await app.close()
  const counters = new Map<string, number>()
  for (const { name, value } of app.counters()) {
    counters.set(name, (counters.get(name) ?? 0) + value)
  }
  return counters
}

/** A record of an output, without what two runs may differ in: offsets, timestamps, topic ids. */
export interface OutputRecord {
  readonly partition: number
  readonly key: ChunkKey
  readonly annotation: Annotation | null
  /** What the record says of its chunk's bytes; only in videos.joined. */
  readonly chunk?: ChunkFacts
}

/** A chunk with the SHA-256 of its bytes in their place. */
export type ChunkFacts = Omit<Chunk, 'bytes'> & { readonly sha256: string }

/** What a pipeline has written, in the order of the log. */
export interface Outputs {
  readonly raw: readonly ChunkFacts[]
  readonly enriched: readonly OutputRecord[]
  readonly joined: readonly OutputRecord[]
}

/** Reads what is committed in all three topics; references are followed and checked. */
export async function outputsOf(
  world: Omit<PipelineWorld, 'folder'>,
  joinedAs: 'references' | 'bytes' = 'references',
): Promise<Outputs> {
  const { transport, registry } = world
  const [raw] = await transport.admin.describeTopics([RAW_TOPIC])
  if (raw === undefined) throw new TypeError(`${RAW_TOPIC} is gone`)
  await using reader = transport.openReader({ isolation: 'read_uncommitted', prefetchBytes: 0 })
  const payloads = new PayloadCache(reader, { maxBytes: 2 ** 24 })
  payloads.addTopic(raw.topicId, raw.topic)
  const chunks = await avro(Chunk).open({ topic: RAW_TOPIC, role: 'value', registry })
  const { signal } = new AbortController()
  const chunkAt = async (reference: AnnotatedChunk['chunk']): Promise<Chunk> => {
    const bytes = await payloads.read(reference, signal)
    return chunks.deserialize(bytes, 0, bytes.length)
  }
  const rawRecords = await read(world, RAW_TOPIC, avro(Chunk))
  const enriched = await read(world, ENRICHED_TOPIC, avro(Annotation))
  return {
    raw: rawRecords.map(({ value }) => factsOf(value)),
    enriched: enriched.map(({ partition, key, value }) => ({ partition, key, annotation: value })),
    joined:
      joinedAs === 'references'
        ? await Promise.all(
            (await read(world, JOINED_TOPIC, avro(AnnotatedChunk))).map(
              async ({ partition, key, value: { chunk, annotation } }) => ({
                partition,
                key,
                annotation,
                chunk: factsOf(await chunkAt(chunk)),
              }),
            ),
          )
        : (await read(world, JOINED_TOPIC, avro(AnnotatedChunkBytes))).map(
            ({ partition, key, value: { chunk, annotation } }) => ({
              partition,
              key,
              annotation,
              chunk: factsOf(chunk),
            }),
          ),
  }
}

function factsOf({ bytes, ...facts }: Chunk): ChunkFacts {
  return { ...facts, sha256: createHash('sha256').update(bytes).digest('hex') }
}

async function read<T>(
  { transport, registry, clock }: Omit<PipelineWorld, 'folder'>,
  topic: Topic,
  serde: Serde<T>,
): Promise<readonly { partition: number; key: ChunkKey; value: T }[]> {
  const keys = await avro(ChunkKey).open({ topic, role: 'key', registry })
  const values = await serde.open({ topic, role: 'value', registry })
  const [described] = await transport.admin.describeTopics([topic])
  const found: { partition: number; key: ChunkKey; value: T }[] = []
  for (let i = 0; i < (described?.partitions ?? 0); i += 1) {
    const partition = asPartition(i)
    for await (const record of scanLog({ transport, clock, topic, partition })) {
      const { key, value } = bytesOf(record)
      found.push({
        partition,
        key: keys.deserialize(key, 0, key.length),
        value: values.deserialize(value, 0, value.length),
      })
    }
  }
  return found
}

function bytesOf({ key, value, offset }: LogRecord): { key: Buffer; value: Buffer } {
  if (key === null || value === null) throw new TypeError(`the record at ${offset} is a tombstone`)
  return { key, value }
}

/** How a video came out, in the words of a test. */
export function verdictOn(
  video: VideoState,
  { raw, enriched, joined }: Outputs,
): Readonly<Record<string, unknown>> {
  const own = <T extends { readonly key: ChunkKey }>(records: readonly T[]): readonly T[] =>
    records.filter(({ key }) => key.videoId === video.videoId)
  const chunks = raw.filter(({ videoId }) => videoId === video.videoId)
  const offsets = chunks.map(({ offset }) => offset)
  const isInOrder = (records: readonly OutputRecord[]): boolean =>
    JSON.stringify(records.map(({ key }) => key.offset)) === JSON.stringify(offsets)
  return {
    chunks: chunks.length,
    enrichedOncePerChunkInOrder: isInOrder(own(enriched)),
    joinedOncePerChunkInOrder: isInOrder(own(joined)),
    joinedWithTheirOwnChunks: own(joined).every(
      ({ key, chunk }) => chunk?.offset === key.offset && chunk.videoId === key.videoId,
    ),
    annotationsAgree:
      JSON.stringify(own(enriched).map(({ annotation }) => annotation)) ===
      JSON.stringify(own(joined).map(({ annotation }) => annotation)),
    joinedChunksAreTheRawOnes:
      JSON.stringify(own(joined).map(({ chunk }) => chunk)) === JSON.stringify(chunks),
  }
}

/** What `verdictOn` says where everything is right. */
export function rightFor(video: VideoState): Readonly<Record<string, unknown>> {
  return {
    chunks: video.chunks,
    enrichedOncePerChunkInOrder: true,
    joinedOncePerChunkInOrder: true,
    joinedWithTheirOwnChunks: true,
    annotationsAgree: true,
    joinedChunksAreTheRawOnes: true,
  }
}

/** How the cuts found lie to the cuts made. */
export function cutsFound(
  video: VideoState,
  { enriched }: Outputs,
  { cutsUs, frameRate }: Pick<Clip, 'cutsUs' | 'frameRate'>,
): { readonly missed: readonly number[]; readonly extra: readonly number[] } {
  const annotations = enriched.flatMap(({ key, annotation }) =>
    key.videoId === video.videoId && annotation !== null ? [annotation] : [],
  )
  const found = cutsOf(listShots(annotations))
  const near = (a: number, all: readonly number[]): boolean =>
    all.some((b) => Math.abs(a - b) <= 1e6 / frameRate)
  return {
    missed: cutsUs.filter((cut) => !near(cut, found)),
    extra: found.filter((cut) => !near(cut, cutsUs)),
  }
}
