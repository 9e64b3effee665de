/** The responses of golden-messages.txt, as the adapter reads them. */
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
import { WireReader } from '../../../transport/kafka/wire/reader.ts'
import { BATCH, TOPIC_ID } from './golden-requests.ts'

/** How a response is read to its end, and what it has to say. */
export interface GoldenResponse {
  readonly name: string
  /** Reads all of the bytes; `left` is what was not read. */
  read(version: number, bytes: Buffer): { readonly response: unknown; readonly left: number }
  readonly expected: (version: number) => unknown
}

const throttled = { throttleTimeMs: 5 }
const DATA = Buffer.of(1, 2)
const NONE = Buffer.alloc(0)

const COMMITTED = [
  { topic: 'a', partition: 1, errorCode: 0 },
  { topic: 'a', partition: 2, errorCode: 25 },
]

const ALL: readonly GoldenResponse[] = [
  heard(API_VERSIONS, () => ({
    ...throttled,
    errorCode: 0,
    apis: [
      { key: 0, min: 0, max: 12 },
      { key: 18, min: 0, max: 4 },
    ],
    finalizedFeatures: new Map([['transaction.version', 2]]),
  })),
  heard(METADATA, () => ({
    ...throttled,
    brokers: [
      { nodeId: 1, host: 'h', port: 9092, rack: null },
      { nodeId: 2, host: 'i', port: 9093, rack: 'r' },
    ],
    clusterId: 'c',
    controller: 2,
    topics: [
      {
        errorCode: 0,
        topic: 'a',
        topicId: TOPIC_ID,
        isInternal: true,
        partitions: [
          {
            errorCode: 0,
            partition: 0,
            leader: 1,
            leaderEpoch: 4,
            replicas: [1, 2],
            inSync: [1],
          },
        ],
      },
    ],
  })),
  heard(FIND_COORDINATOR, () => ({
    ...throttled,
    errorCode: 15,
    errorMessage: 'm',
    nodeId: 3,
    host: 'h',
    port: 9,
  })),
  heard(INIT_PRODUCER_ID, () => ({
    ...throttled,
    errorCode: 51,
    producerId: 4_000_000_001,
    producerEpoch: 7,
  })),
  heard(ADD_PARTITIONS_TO_TXN, () => ({
    ...throttled,
    partitions: [
      { topic: 'a', partition: 0, errorCode: 51 },
      { topic: 'a', partition: 2, errorCode: 0 },
    ],
  })),
  heard(ADD_OFFSETS_TO_TXN, () => ({ ...throttled, errorCode: 51 })),
  heard(END_TXN, (version) => ({
    ...throttled,
    errorCode: 0,
    producerId: version < 5 ? -1 : 4_000_000_001,
    producerEpoch: version < 5 ? -1 : 8,
  })),
  heard(PRODUCE, (version) => ({
    ...throttled,
    partitions: [
      {
        topic: 'a',
        partition: 1,
        errorCode: 6,
        errorMessage: 'm',
        baseOffset: -1,
        logStartOffset: 3,
        currentLeader: version < 10 ? undefined : { leader: 2, leaderEpoch: 9 },
      },
      {
        topic: 'a',
        partition: 2,
        errorCode: 0,
        errorMessage: null,
        baseOffset: 4_294_967_297,
        logStartOffset: 0,
        currentLeader: undefined,
      },
    ],
  })),
  heard(TXN_OFFSET_COMMIT, () => ({ ...throttled, partitions: COMMITTED })),
  heard(OFFSET_COMMIT, () => ({ ...throttled, partitions: COMMITTED })),
  heard(OFFSET_FETCH, () => ({
    ...throttled,
    errorCode: 14,
    partitions: [
      { topic: 'a', partition: 0, offset: -1, leaderEpoch: -1, metadata: null, errorCode: 88 },
      { topic: 'a', partition: 2, offset: 9, leaderEpoch: 4, metadata: 'm', errorCode: 0 },
    ],
  })),
  heard(LIST_OFFSETS, () => ({
    ...throttled,
    partitions: [
      { topic: 'a', partition: 0, errorCode: 0, timestamp: -1, offset: 12, leaderEpoch: 4 },
    ],
  })),
  heard(OFFSET_FOR_LEADER_EPOCH, () => ({
    ...throttled,
    partitions: [{ topic: 'a', partition: 0, errorCode: 0, leaderEpoch: 4, endOffset: 99 }],
  })),
  heard(FETCH, (version) => ({
    ...throttled,
    errorCode: 0,
    sessionId: 3,
    partitions: [
      {
        topic: version < 13 ? 'a' : '',
        topicId: version < 13 ? '' : TOPIC_ID,
        partition: 0,
        errorCode: 0,
        highWatermark: 100,
        lastStableOffset: 90,
        logStartOffset: 10,
        divergingEpoch: version < 12 ? undefined : { epoch: 3, endOffset: 50 },
        currentLeader: version < 12 ? undefined : { leader: 2, leaderEpoch: 6 },
        aborted: [{ producerId: 4_000_000_001, firstOffset: 20 }],
        preferredReplica: 2,
        records: BATCH,
      },
    ],
  })),
  heard(JOIN_GROUP, () => ({
    ...throttled,
    errorCode: 79,
    generation: 3,
    protocolName: 'p',
    leader: 'm',
    memberId: 'm',
    members: [
      { memberId: 'm', groupInstanceId: null, metadata: DATA },
      { memberId: 'n', groupInstanceId: 'i', metadata: NONE },
    ],
  })),
  heard(SYNC_GROUP, () => ({ ...throttled, errorCode: 27, assignment: DATA })),
  heard(HEARTBEAT, () => ({ ...throttled, errorCode: 27 })),
  heard(LEAVE_GROUP, () => ({
    ...throttled,
    errorCode: 0,
    members: [{ memberId: 'm', groupInstanceId: 'i', errorCode: 25 }],
  })),
  heard(CREATE_TOPICS, () => ({
    ...throttled,
    topics: [
      { topic: 'a', topicId: TOPIC_ID, errorCode: 36, errorMessage: 'm' },
      { topic: 'b', topicId: TOPIC_ID, errorCode: 0, errorMessage: null },
    ],
  })),
  heard(DELETE_TOPICS, () => ({
    ...throttled,
    topics: [{ topic: 'a', errorCode: 3, errorMessage: 'm' }],
  })),
  heard(DELETE_RECORDS, () => ({
    ...throttled,
    partitions: [{ topic: 'a', partition: 1, lowWatermark: 5, errorCode: 1 }],
  })),
  heard(DESCRIBE_CONFIGS, () => ({
    ...throttled,
    results: [
      {
        errorCode: 0,
        errorMessage: '',
        name: 'a',
        settings: [
          { name: 'x', value: 'y', source: 1 },
          { name: 'p', value: null, source: 4 },
        ],
      },
    ],
  })),
  heard(DESCRIBE_GROUPS, () => ({
    ...throttled,
    groups: [
      {
        errorCode: 0,
        groupId: 'g',
        state: 'Stable',
        protocolType: 'consumer',
        protocol: 'p',
        members: [
          {
            memberId: 'm',
            groupInstanceId: 'i',
            clientId: 'c',
            clientHost: '/h',
            metadata: DATA,
            assignment: NONE,
          },
        ],
      },
    ],
  })),
  heard(DELETE_GROUPS, () => ({ ...throttled, groups: [{ groupId: 'g', errorCode: 68 }] })),
]

/** By the message's name. */
export const RESPONSES: ReadonlyMap<string, GoldenResponse> = new Map(
  ALL.map((one) => [`${one.name}Response`, one]),
)

function heard<Q, R>(api: Api<Q, R>, expected: (version: number) => R): GoldenResponse {
  return {
    name: api.name,
    expected,
    read: (version, bytes) => {
      const from = new WireReader(bytes, version >= api.flexibleFrom)
      return { response: api.decode(from, version), left: from.leftBytes }
    },
  }
}
