/** Where partitions begin and end, and what is deleted from their beginning. */
import {
  asOffset,
  describePartition,
  type Offset,
  type PartitionOffset,
  type TopicPartition,
} from '../../../model/position.ts'
import { deletionOutOfRange } from '../../log-errors.ts'
import type { Isolation, LogEnd } from '../../transport.ts'
import { byTopic } from '../api/api.ts'
import { DELETE_RECORDS } from '../api/delete-records.ts'
import { EARLIEST, LATEST, LIST_OFFSETS, type ListOffsetsRequest } from '../api/list-offsets.ts'
import { askLeaders } from '../cluster/by-leader.ts'
import type { KafkaCluster } from '../cluster/cluster.ts'

/** An end of each partition, in the order asked. */
export async function endsOf(
  cluster: KafkaCluster,
  partitions: readonly TopicPartition[],
  { end, isolation }: { readonly end: LogEnd; readonly isolation: Isolation },
): Promise<readonly Offset[]> {
  const timestamp = end === 'earliest' ? EARLIEST : LATEST
  const answers = await askLeaders(cluster, partitions, {
    api: LIST_OFFSETS,
    request: (those): ListOffsetsRequest => ({
      isolation: isolation === 'read_committed' ? 1 : 0,
      topics: byTopic(
        those.map(({ of, leader }) => {
          return { ...of, currentLeaderEpoch: leader.leaderEpoch, timestamp }
        }),
      ),
    }),
  })
  return answers.map(({ offset }) => asOffset(offset))
}

/** Kafka itself would delete up to the high watermark, into an open transaction: the last stable offset is asked first. */
export async function deleteRecords(
  cluster: KafkaCluster,
  before: readonly PartitionOffset[],
): Promise<void> {
  const isolation = 'read_committed'
  const ends = await endsOf(cluster, before, { end: 'latest', isolation })
  for (const [at, place] of before.entries()) {
    const end = ends[at] ?? 0
    if (place.offset <= end) continue
    const [start = 0] = await endsOf(cluster, [place], { end: 'earliest', isolation })
    throw deletionOutOfRange(place, { start, end })
  }
  const furthest = new Map<string, PartitionOffset>()
  for (const place of before) {
    const name = describePartition(place)
    if (place.offset >= (furthest.get(name)?.offset ?? 0)) furthest.set(name, place)
  }
  const timeoutMs = cluster.limits.requestDeadlineMs / 2
  await askLeaders(cluster, [...furthest.values()], {
    api: DELETE_RECORDS,
    request: (those) => ({ topics: byTopic(those.map(({ of }) => of)), timeoutMs }),
  })
}
