/**
 * A video as it comes out of the pipeline: its records in videos.joined, in the order of its stream,
 * with each chunk's bytes brought back from videos.raw by its reference. Reads what is committed now.
 */
import { deserializeNow } from '../processors/deserialize.ts'
import type { Clock } from '../model/clock.ts'
import type { Partition } from '../model/position.ts'
import type { Payloads } from '../processors/payloads.ts'
import { avro } from '../serdes/avro.ts'
import type { Registry } from '../serdes/registry.ts'
import type { Transport } from '../transport/transport.ts'
import { scanLog } from './log-scan.ts'
import { Reassembly, type ReassembledVideo } from './reassemble.ts'
import { AnnotatedChunk, Chunk, ChunkKey, type Annotation, type VideoState } from './schemas.ts'
import { JOINED_TOPIC, RAW_TOPIC } from './topics.ts'

/** Where the joined records and the raw chunks are. */
export interface JoinedVideos {
  readonly transport: Transport
  readonly registry: Registry
  readonly clock: Clock
  readonly payloads: Payloads
  readonly signal?: AbortSignal | undefined
}

/** What the pipeline made of one video. */
export interface JoinedVideo {
  /** How many joined records there are for it: exactly as many as chunks, unless something went wrong. */
  readonly records: number
  /** One a chunk, in the order of the stream; the first where a chunk came more than once. */
  readonly chunks: readonly AnnotatedChunk[]
  readonly annotations: readonly Annotation[]
}

/** The joined records of one video in its partition. */
export async function readJoinedVideo(
  { transport, registry, clock, signal }: JoinedVideos,
  { videoId, partition }: { readonly videoId: string; readonly partition: Partition },
): Promise<JoinedVideo> {
  const topic = JOINED_TOPIC
  const keys = await avro(ChunkKey).open({ topic, role: 'key', registry })
  const values = await avro(AnnotatedChunk).open({ topic, role: 'value', registry })
  const chunks = new Map<number, AnnotatedChunk>()
  let records = 0
  for await (const { key, value } of scanLog({ transport, clock, topic, partition, signal })) {
    if (key === null || value === null) continue
    const { videoId: owner, offset } = await deserializeNow(keys, key)
    if (owner !== videoId) continue
    records += 1
    if (!chunks.has(offset)) chunks.set(offset, await deserializeNow(values, value))
  }
  const ordered = [...chunks].toSorted(([a], [b]) => a - b).map(([, chunk]) => chunk)
  const annotations = ordered.flatMap(({ annotation }) => annotation ?? [])
  return { records, chunks: ordered, annotations }
}

/** Puts the bytes behind the joined records together again and checks them against the video's row. Rejects with MILLRACE_REFERENCE_GONE or MILLRACE_REASSEMBLY_FAILED. */
export async function reassembleJoined(
  { registry, payloads, signal = new AbortController().signal }: JoinedVideos,
  joined: JoinedVideo,
  row: VideoState,
): Promise<ReassembledVideo> {
  const values = await avro(Chunk).open({ topic: RAW_TOPIC, role: 'value', registry })
  const reassembly = new Reassembly(row.videoId)
  for (const { chunk } of joined.chunks) {
    const bytes = await payloads.read(chunk, signal)
    reassembly.add(await deserializeNow(values, bytes))
  }
  return reassembly.end(row)
}
