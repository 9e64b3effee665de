/** The table `videos`: one row for each video, the newest record under its id. */
import type { Clock } from '../model/clock.ts'
import type { Topic } from '../model/position.ts'
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
  { transport, registry, clock, topic = VIDEOS_TOPIC, signal }: VideosTable,
  videoId: string,
  partitions: number,
): Promise<VideoState | undefined> {
  const serde = await avro(VideoState).open({ topic, role: 'value', registry })
  const partition = partitionOfVideo(videoId, partitions)
  let newest: Buffer | undefined
  for await (const { key, value } of scanLog({ transport, clock, topic, partition, signal })) {
    if (key?.toString() !== videoId) continue
    newest = value === null ? undefined : Buffer.from(value)
  }
  return newest === undefined ? undefined : await deserializeNow(serde, newest)
}
