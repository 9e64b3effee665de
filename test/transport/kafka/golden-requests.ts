/** The requests of golden-messages.txt, as the adapter says them. */
import type { Api } from '../../../transport/kafka/api/api.ts'
import { ADD_OFFSETS_TO_TXN } from '../../../transport/kafka/api/add-offsets-to-txn.ts'
import { ADD_PARTITIONS_TO_TXN } from '../../../transport/kafka/api/add-partitions-to-txn.ts'
import { API_VERSIONS } from '../../../transport/kafka/api/api-versions.ts'
import { CREATE_TOPICS } from '../../../transport/kafka/api/create-topics.ts'
import { DELETE_GROUPS } from '../../../transport/kafka/api/delete-groups.ts'
import { DELETE_RECORDS } from '../../../transport/kafka/api/delete-records.ts'
import { DELETE_TOPICS } from '../../../transport/kafka/api/delete-topics.ts'
import { DESCRIBE_CONFIGS } from '../../../transport/kafka/api/describe-configs.ts'
import { DESCRIBE_GROUPS } from '../../../transport/kafka/api/describe-groups.ts'
import { END_TXN } from '../../../transport/kafka/api/end-txn.ts'
import { FETCH } from '../../../transport/kafka/api/fetch.ts'
import { FIND_COORDINATOR } from '../../../transport/kafka/api/find-coordinator.ts'
import { HEARTBEAT } from '../../../transport/kafka/api/heartbeat.ts'
import { INIT_PRODUCER_ID } from '../../../transport/kafka/api/init-producer-id.ts'
import { JOIN_GROUP } from '../../../transport/kafka/api/join-group.ts'
import { LEAVE_GROUP } from '../../../transport/kafka/api/leave-group.ts'
import { LIST_OFFSETS } from '../../../transport/kafka/api/list-offsets.ts'
import { METADATA } from '../../../transport/kafka/api/metadata.ts'
import { OFFSET_COMMIT } from '../../../transport/kafka/api/offset-commit.ts'
import { OFFSET_FETCH } from '../../../transport/kafka/api/offset-fetch.ts'
import { OFFSET_FOR_LEADER_EPOCH } from '../../../transport/kafka/api/offset-for-leader-epoch.ts'
import { PRODUCE } from '../../../transport/kafka/api/produce.ts'
import { SYNC_GROUP } from '../../../transport/kafka/api/sync-group.ts'
import { TXN_OFFSET_COMMIT } from '../../../transport/kafka/api/txn-offset-commit.ts'
import { WireWriter } from '../../../transport/kafka/wire/writer.ts'

export const TOPIC_ID = '6ba7b810-9dad-11d1-80b4-00c04fd430c8'
/** One batch of the record k: v, without a producer, as Kafka's client writes it. */
export const BATCH = Buffer.from(
  '00000000000000000000003affffffff02e99b8dd80000000000000000018bcfe568000000018bcfe56800' +
    'ffffffffffffffffffffffffffff0000000110000000026b027600',
  'hex',
)

const PRODUCER = { transactionalId: 'tx', producerId: 4_000_000_001, producerEpoch: 7 }
const DATA = Buffer.of(1, 2)
const OFFSETS = [
  {
    topic: 'a',
    partitions: [
      { partition: 1, offset: 77, leaderEpoch: 3, metadata: 'm' },
      { partition: 2, offset: 78, leaderEpoch: -1, metadata: '' },
    ],
  },
]

/** What writes each request, in a version. */
export const REQUESTS: ReadonlyMap<string, (version: number) => Buffer> = new Map(
  [
    said(API_VERSIONS, { softwareName: 'millrace', softwareVersion: '0.1' }),
    said(METADATA, { topics: ['a', 'b'] }),
    said(FIND_COORDINATOR, { kind: 'transaction', key: 'g' }),
    said(INIT_PRODUCER_ID, { ...PRODUCER, transactionTimeoutMs: 60_000 }),
    said(ADD_PARTITIONS_TO_TXN, {
      ...PRODUCER,
      topics: [
        { topic: 'a', partitions: [0, 2] },
        { topic: 'b', partitions: [1] },
      ],
    }),
    said(ADD_OFFSETS_TO_TXN, { ...PRODUCER, groupId: 'g' }),
    said(END_TXN, { ...PRODUCER, committed: true }),
    said(PRODUCE, {
      transactionalId: 'tx',
      acks: -1,
      timeoutMs: 1000,
      topics: [
        {
          topic: 'a',
          partitions: [{ partition: 1, records: [BATCH.subarray(0, 61), BATCH.subarray(61)] }],
        },
      ],
    }),
    said(TXN_OFFSET_COMMIT, {
      ...PRODUCER,
      groupId: 'g',
      generation: 2,
      memberId: 'm',
      groupInstanceId: 'i',
      topics: OFFSETS,
    }),
    said(OFFSET_COMMIT, {
      groupId: 'g',
      generation: 2,
      memberId: 'm',
      groupInstanceId: null,
      topics: OFFSETS,
    }),
    said(OFFSET_FETCH, {
      groupId: 'g',
      topics: [{ topic: 'a', partitions: [0, 2] }],
      requireStable: true,
    }),
    said(LIST_OFFSETS, {
      isolation: 1,
      topics: [
        { topic: 'a', partitions: [{ partition: 0, currentLeaderEpoch: 4, timestamp: -1 }] },
      ],
    }),
    said(OFFSET_FOR_LEADER_EPOCH, {
      topics: [
        { topic: 'a', partitions: [{ partition: 0, currentLeaderEpoch: 5, leaderEpoch: 4 }] },
      ],
    }),
    said(FETCH, {
      maxWaitMs: 500,
      minBytes: 1,
      maxBytes: 1_000_000,
      isolation: 1,
      sessionId: 3,
      sessionEpoch: 4,
      topics: [
        {
          topic: 'a',
          topicId: TOPIC_ID,
          partitions: [
            {
              partition: 0,
              currentLeaderEpoch: 5,
              offset: 88,
              lastFetchedEpoch: 4,
              maxBytes: 1000,
            },
          ],
        },
      ],
      forgotten: [{ topic: 'b', topicId: TOPIC_ID, partitions: [1, 2] }],
      rack: 'r',
    }),
    said(JOIN_GROUP, {
      groupId: 'g',
      sessionTimeoutMs: 45_000,
      rebalanceTimeoutMs: 60_000,
      memberId: '',
      groupInstanceId: 'i',
      protocolType: 'consumer',
      protocols: [{ name: 'p', metadata: DATA }],
    }),
    said(SYNC_GROUP, {
      groupId: 'g',
      generation: 3,
      memberId: 'm',
      groupInstanceId: null,
      protocolType: 'consumer',
      protocolName: 'p',
      assignments: [{ memberId: 'm', assignment: DATA }],
    }),
    said(HEARTBEAT, { groupId: 'g', generation: 3, memberId: 'm', groupInstanceId: 'i' }),
    said(LEAVE_GROUP, { groupId: 'g', members: [{ memberId: 'm', groupInstanceId: 'i' }] }),
    said(CREATE_TOPICS, {
      topics: [
        { topic: 'a', partitions: 3, replicationFactor: -1, config: { 'retention.ms': '-1' } },
      ],
      timeoutMs: 1000,
      validateOnly: true,
    }),
    said(DELETE_TOPICS, { topics: ['a', 'b'], timeoutMs: 1000 }),
    said(DELETE_RECORDS, {
      topics: [{ topic: 'a', partitions: [{ partition: 1, offset: 5 }] }],
      timeoutMs: 1000,
    }),
    said(DESCRIBE_CONFIGS, {
      resources: [
        { kind: 'topic', name: 'a', settings: null },
        { kind: 'broker', name: '1', settings: ['x'] },
      ],
    }),
    said(DESCRIBE_GROUPS, { groups: ['g'] }),
    said(DELETE_GROUPS, { groups: ['g'] }),
  ].map(({ name, write }) => [`${name}Request`, write]),
)

function said<Q, R>(
  api: Api<Q, R>,
  request: Q,
): { readonly name: string; readonly write: (version: number) => Buffer } {
  return {
    name: api.name,
    write: (version) => {
      const to = new WireWriter(version >= api.flexibleFrom)
      api.encode(to, request, version)
      return Buffer.concat(to.parts())
    },
  }
}
