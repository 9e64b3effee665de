/** The table `videos`: one row for each video, the newest record under its id. */
import type { Clock } from '../model/clock.ts'
import { asPartition, type Topic } from '../model/position.ts'
import { deserializeNow } from '../processors/deserialize.ts'
import { avro } from '../serdes/avro.ts'
import type { Registry } from '../serdes/registry.ts'
import type { Transport } from '../transport/transport.ts'
import { scanLog } from './log-scan.ts'
import { VideoState } from './schemas.ts'
import { partitionOfVideo, VIDEOS_TOPIC } from './topics.ts'

/** Where the table is. */
export interface VideosTable {
  readonly transport: Transport
  readonly registry: Registry
  readonly clock: Clock
  /** Default: VIDEOS_TOPIC. */
  readonly topic?: Topic
  readonly signal?: AbortSignal | undefined
}

/** The row of one video, or undefined. The topic has `partitions` partitions. */
export async function readVideo(
  table: VideosTable,
  videoId: string,
  partitions: number,
): Promise<VideoState | undefined> {
  const rows = await readRows(table, {
    partition: partitionOfVideo(videoId, partitions),
    only: videoId,
  })
  return rows.get(videoId)
}

/** All rows, by video id. The topic has `partitions` partitions. */
export async function readVideos(
  table: VideosTable,
  partitions: number,
): Promise<ReadonlyMap<string, VideoState>> {
  const all = new Map<string, VideoState>()
  for (let partition = 0; partition < partitions; partition += 1) {
    const rows = await readRows(table, { partition: asPartition(partition) })
    for (const [videoId, row] of rows) all.set(videoId, row)
  }
  return all
}

async function readRows(
  { transport, registry, clock, topic = VIDEOS_TOPIC, signal }: VideosTable,
  { partition, only }: { partition: ReturnType<typeof asPartition>; only?: string },
): Promise<ReadonlyMap<string, VideoState>> {
  const serde = await avro(VideoState).open({ topic, role: 'value', registry })
  const newest = new Map<string, Buffer>()
  for await (const { key, value } of scanLog({ transport, clock, topic, partition, signal })) {
    const videoId = key?.toString()
    if (videoId === undefined || (only !== undefined && videoId !== only)) continue
    if (value === null) newest.delete(videoId)
    else newest.set(videoId, Buffer.from(value))
  }
  const rows = new Map<string, VideoState>()
  for (const [videoId, value] of newest) rows.set(videoId, await deserializeNow(serde, value))
  return rows
}
