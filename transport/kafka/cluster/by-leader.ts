/**
 * Asks the leaders of partitions: one request a broker, side by side, and again for those partitions
 * whose leader has moved or is away. Any other error is thrown. For requests that may be sent twice.
 */
import { describePartition, type TopicPartition } from '../../../model/position.ts'
import { unknownPartition } from '../../log-errors.ts'
import type { Api } from '../api/api.ts'
import type { KafkaCluster } from './cluster.ts'
import { CODE, errorKind, refused } from '../error-codes.ts'
import { isRetriable, withPatience } from '../limits.ts'
import type { CallOptions, PartitionLeader } from './metadata-cache.ts'
import { timeLeftMs } from './within-deadline.ts'

/** What a partition's leader answers. */
export interface LeaderAnswer {
  readonly topic: string
  readonly partition: number
  readonly errorCode: number
}

/** A partition to ask about, with its leader of now. */
export interface Led<T> {
  readonly of: T
  readonly leader: PartitionLeader
}

/** A question for the leaders of some partitions. */
export interface LeaderQuestion<T extends TopicPartition, Q, A extends LeaderAnswer> {
  readonly api: Api<Q, { readonly partitions: readonly A[] }>
  /** The request for those that one broker leads. */
  readonly request: (those: readonly Led<T>[]) => Q
}

/** The answers in the order asked. Rejects with MILLRACE_UNKNOWN_PARTITION, or what the first partition that failed was refused for. */
export async function askLeaders<T extends TopicPartition, Q, A extends LeaderAnswer>(
  cluster: KafkaCluster,
  asked: readonly T[],
  { api, request, ...options }: LeaderQuestion<T, Q, A> & CallOptions,
): Promise<readonly A[]> {
  const { clock, limits } = cluster
  const { deadlineMs = limits.callDeadlineMs, signal } = options
  // Brokers refuse a request that names a partition twice.
  const each = [...new Map(asked.map((of) => [describePartition(of), of])).values()]
  const answers = new Map<string, A>()
  const end = clock.monotonic() + deadlineMs
  const ask = async (node: number, those: readonly Led<T>[]): Promise<void> => {
    try {
      const ownMs = Math.min(timeLeftMs(clock, end), limits.requestDeadlineMs)
      const question = [api, request(those)] as const
      const { partitions } = await cluster.ask(node, question, { deadlineMs: ownMs, signal })
      for (const answer of partitions) answers.set(describePartition(answer), answer)
    } catch (error) {
      if (isRetriable(error)) for (const { of } of those) cluster.metadata.invalidate(of)
      throw error
    }
  }
  await withPatience({ clock, limits, deadlineMs, signal }, async (leftMs) => {
    const open = each.filter((of) => answers.get(describePartition(of))?.errorCode !== CODE.none)
    const led = await Promise.all(
      open.map(async (of) => {
        const leader = await cluster.metadata.leader(of, { deadlineMs: leftMs, signal })
        return { of, leader }
      }),
    )
    const byNode = Map.groupBy(led, ({ leader }) => leader.node)
    await Promise.all([...byNode].map(([node, those]) => ask(node, those)))
    for (const { of, leader } of led) judge(cluster, { of, leader }, { api, answers })
  })
  return asked.flatMap((of) => answers.get(describePartition(of)) ?? [])
}

/** Throws what a partition was refused for; what is known of its leader is forgotten where that may be why. */
function judge(
  cluster: KafkaCluster,
  { of, leader }: Led<TopicPartition>,
  {
    api,
    answers,
  }: {
    readonly api: { readonly name: string }
    readonly answers: ReadonlyMap<string, LeaderAnswer>
  },
): void {
  const code = answers.get(describePartition(of))?.errorCode ?? CODE.unknownTopicOrPartition
  if (code === CODE.none) return
  if (errorKind(code) === 'retriable') cluster.metadata.invalidate(of, leader.leaderEpoch)
  if (code === CODE.invalidTopic) throw unknownPartition(of)
  throw refused(code, { api: api.name, place: describePartition(of) })
}
