/** Takes the folder of an embedded log, and brings its index and its segments to one end. */
import { readdir } from 'node:fs/promises'
import { asTopic, type Topic } from '../../model/position.ts'
import { BufferPool } from '../buffer-pool.ts'
import { EmbeddedLog, openTopic, type EmbeddedLogParts, type TopicLog } from './embedded-log.ts'
import { FilePool } from './file-pool.ts'
import { indexDamaged } from './folder-errors.ts'
import { GroupOffsets } from './group-offsets.ts'
import {
  GROUP_PREFIX,
  NEXT_PRODUCER_ID_KEY,
  OPENS_KEY,
  TOPIC_PREFIX,
  TRANSACTIONAL_ID_PREFIX,
  type GroupRow,
  type TopicRow,
  type TransactionalIdRow,
} from './index-rows.ts'
import { EMBEDDED_LOG_LIMITS, type EmbeddedLogLimits, type EmbeddedLogOptions } from './limits.ts'
import { dropHolder, nameHolder, type LogFolder } from './log-folder.ts'
import { LogIndex, type RowChange } from './log-index.ts'
import type { LogResources } from './partition-log.ts'
import { Producers } from './producers.ts'

/**
 * Takes the folder and opens its log; undefined where another opening holds it. Whoever closes the
 * log gives the folder free.
 */
export async function holdLog(
  options: EmbeddedLogOptions,
  folder: LogFolder,
): Promise<EmbeddedLog | undefined> {
  const limits: EmbeddedLogLimits = { ...EMBEDDED_LOG_LIMITS, ...options }
  const index = await LogIndex.open(folder.index, limits.indexBatchRows)
  if (index === undefined) return undefined
  const files = new FilePool(limits.openFiles)
  try {
    await nameHolder(folder, { isSharing: options.share === true })
    const log = await openLog({ folder, index, files, limits }, options)
    log.cleaner.start()
    return log
  } catch (error) {
    await index.close()
    await files.close()
    await dropHolder(folder)
    throw error
  }
}

interface Opening {
  readonly folder: LogFolder
  readonly index: LogIndex
  readonly files: FilePool
  readonly limits: EmbeddedLogLimits
}

async function openLog(
  { folder, index, files, limits }: Opening,
  { clock, durability = 'process', onCleaningFailed: onFailed, holderTask }: EmbeddedLogOptions,
): Promise<EmbeddedLog> {
  const opens = Number((await index.read(OPENS_KEY)) ?? 0)
  if (opens === 0 && (await readdir(folder.topics)).length > 0) {
    throw indexDamaged('it is empty, and there are segments of topics', folder.index)
  }
  const leaderEpoch = opens + 1
  const resources: LogResources = {
    clock,
    index,
    durability,
    leaderEpoch,
    segmentBytes: limits.segmentBytes,
    files,
    buffers: new BufferPool(limits.pooledBytes),
  }
  const keepSince = clock.now() - limits.producerExpiryMs
  const topicsFolder = folder.topics
  const topics = await openTopics(index, { topicsFolder, resources, keepSequencesSince: keepSince })
  const ids = await readIds(index, keepSince)
  const rows = [{ key: OPENS_KEY, value: leaderEpoch }, ...ids.expired]
  await abortOpenTransactions(topics, resources, rows)

  const groups = new GroupOffsets(await readGroups(index))
  const nextProducerId = Number((await index.read(NEXT_PRODUCER_ID_KEY)) ?? 0)
  const producers = new Producers(
    { clock, index, groups, durability },
    { nextProducerId, ids: ids.kept },
  )
  const parts: EmbeddedLogParts = {
    path: folder.path,
    topicsFolder,
    resources,
    topics,
    groups,
    producers,
    partitionsPerTopic: limits.partitionsPerTopic,
    cleaning: { limits, onFailed },
    holderTask,
    release: () => dropHolder(folder),
  }
  return new EmbeddedLog(parts)
}

async function openTopics(
  index: LogIndex,
  from: Parameters<typeof openTopic>[2],
): Promise<Map<Topic, TopicLog>> {
  const topics = new Map<Topic, TopicLog>()
  for (const [name, value] of await index.list(TOPIC_PREFIX)) {
    const topic = asTopic(name)
    topics.set(topic, await openTopic(topic, value as TopicRow, from))
  }
  return topics
}

/** The producers of every open transaction died with the process that had the folder. */
async function abortOpenTransactions(
  topics: ReadonlyMap<Topic, TopicLog>,
  { index, durability }: LogResources,
  more: readonly RowChange[],
): Promise<void> {
  const partitions = [...topics.values()].flatMap((topic) => topic.partitions)
  const open = partitions.flatMap((partition) =>
    partition.openProducers.map((producerId) => ({ partition, producerId })),
  )
  const rows = open.flatMap(({ partition, producerId }) =>
    partition.endingRows(producerId, 'abort'),
  )
  await index.write([...rows, ...more], { sync: durability === 'fsync' })
  for (const { partition, producerId } of open) partition.endTransaction(producerId, 'abort')
}

async function readIds(
  index: LogIndex,
  keepSince: number,
): Promise<{
  readonly kept: Map<string, TransactionalIdRow>
  readonly expired: readonly RowChange[]
}> {
  const kept = new Map<string, TransactionalIdRow>()
  const expired: RowChange[] = []
  for (const [id, value] of await index.list(TRANSACTIONAL_ID_PREFIX)) {
    const row = value as TransactionalIdRow
    if (row.usedAt >= keepSince) kept.set(id, row)
    else expired.push({ key: TRANSACTIONAL_ID_PREFIX + id, value: undefined })
  }
  return { kept, expired }
}

async function readGroups(index: LogIndex): Promise<Map<string, GroupRow>> {
  const rows = await index.list(GROUP_PREFIX)
  return new Map(rows.map(([rest, value]) => [GROUP_PREFIX + rest, value as GroupRow]))
}
