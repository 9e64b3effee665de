import { asPartition } from '../../model/position.ts'
import { scanLog } from '../../video/log-scan.ts'
import type { VideoState } from '../../video/schemas.ts'
import { VIDEOS_TOPIC } from '../../video/topics.ts'
import { readVideo, type VideosTable } from '../../video/videos-table.ts'

/** The rows of all videos, by id, each read as the ingest reads it. The topic has `partitions` partitions. */
export async function readVideos(
  table: VideosTable,
  partitions: number,
): Promise<ReadonlyMap<string, VideoState>> {
  const { transport, clock, topic = VIDEOS_TOPIC } = table
  const ids = new Set<string>()
  for (let partition = 0; partition < partitions; partition += 1) {
    const place = { topic, partition: asPartition(partition) }
    for await (const { key } of scanLog({ transport, clock, ...place }))
      if (key !== null) ids.add(key.toString())
  }
  const rows = new Map<string, VideoState>()
  for (const id of ids) {
    const row = await readVideo(table, id, partitions)
    if (row !== undefined) rows.set(id, row)
  }
  return rows
}
