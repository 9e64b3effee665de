/**
 * Kafka's error codes, with what a caller can do about each. The kind is what holds unless the request
 * at hand says otherwise: a producer maps sequences, a group its generations, and topics that are not
 * there, in words of their own. Source: org.apache.kafka.common.protocol.Errors.
 */
import { TransportError, type TransportErrorKind } from '../errors.ts'

/** The codes that the adapter branches on, by Kafka's names. */
export const CODE = {
  none: 0,
  offsetOutOfRange: 1,
  corruptMessage: 2,
  unknownTopicOrPartition: 3,
  leaderNotAvailable: 5,
  notLeaderOrFollower: 6,
  requestTimedOut: 7,
  messageTooLarge: 10,
  networkException: 13,
  coordinatorLoadInProgress: 14,
  coordinatorNotAvailable: 15,
  notCoordinator: 16,
  invalidTopic: 17,
  recordListTooLarge: 18,
  notEnoughReplicas: 19,
  notEnoughReplicasAfterAppend: 20,
  illegalGeneration: 22,
  inconsistentGroupProtocol: 23,
  unknownMemberId: 25,
  rebalanceInProgress: 27,
  topicAuthorizationFailed: 29,
  groupAuthorizationFailed: 30,
  clusterAuthorizationFailed: 31,
  invalidTimestamp: 32,
  unsupportedVersion: 35,
  topicAlreadyExists: 36,
  notController: 41,
  outOfOrderSequence: 45,
  duplicateSequence: 46,
  invalidProducerEpoch: 47,
  invalidTxnState: 48,
  invalidProducerIdMapping: 49,
  concurrentTransactions: 51,
  transactionalIdAuthorizationFailed: 53,
  storageError: 56,
  unknownProducerId: 59,
  nonEmptyGroup: 68,
  groupIdNotFound: 69,
  fetchSessionIdNotFound: 70,
  invalidFetchSessionEpoch: 71,
  fencedLeaderEpoch: 74,
  unknownLeaderEpoch: 75,
  offsetNotAvailable: 78,
  memberIdRequired: 79,
  fencedInstanceId: 82,
  invalidRecord: 87,
  unstableOffsetCommit: 88,
  throttlingQuotaExceeded: 89,
  producerFenced: 90,
  unknownTopicId: 100,
  inconsistentTopicId: 103,
  fetchSessionTopicIdError: 106,
  transactionAbortable: 120,
} as const

/** What is refused, for the message. */
export interface Refusal {
  readonly api: string
  /** The topic, group or id that it is about. */
  readonly place: string
  /** What the broker says beside the code. */
  readonly detail?: string | null | undefined
}

/** Kafka's name of a code. */
export function errorName(code: number): string {
  return BY_CODE.get(code)?.name ?? `error ${code}`
}

/** What a caller can do about a code; one that nobody knows is fatal. */
export function errorKind(code: number): TransportErrorKind {
  return BY_CODE.get(code)?.kind ?? 'fatal'
}

/** What one request can be about at once. */
export interface NamedInRequest {
  readonly topic?: string | undefined
  readonly groupId?: string | undefined
  readonly transactionalId?: string | undefined
}

/** What a code is about where a request names several things: the right to each may be missing. Otherwise `place`. */
export function placeOfCode(code: number, named: NamedInRequest, place: string): string {
  const { topic, groupId, transactionalId } = named
  switch (code) {
    case CODE.topicAuthorizationFailed:
      return topic === undefined ? place : `topic ${topic}`
    case CODE.groupAuthorizationFailed:
      return groupId === undefined ? place : `group ${groupId}`
    case CODE.transactionalIdAuthorizationFailed:
      return transactionalId === undefined ? place : `transaction ${transactionalId}`
    default:
      return place
  }
}

/** The error for a code that has no words of its own: MILLRACE_KAFKA_NOT_AUTHORIZED or MILLRACE_KAFKA_REFUSED. */
export function refused(code: number, { api, place, detail }: Refusal): TransportError {
  const resource = RESOURCES.get(code)
  if (resource !== undefined) return notAuthorized(resource, { api, place })
  const kind = errorKind(code)
  const said = detail === undefined || detail === null || detail === '' ? '' : `: ${detail}`
  return new TransportError('MILLRACE_KAFKA_REFUSED', kind, {
    message: `Kafka refused ${api} for ${place} with ${errorName(code)} (${code})${said.replace(/\.$/, '')}. ${NEXT[kind]}`,
    place,
  })
}

function notAuthorized(resource: string, { api, place }: Refusal): TransportError {
  const operation = OPERATIONS.get(api)
  const which = operation === undefined ? '' : ` ${operation}`
  const line = [
    'kafka-acls.sh',
    '--add',
    ...(operation === undefined ? [] : ['--operation', operation]),
    `--${resource.replace(' ', '-')}`,
    ...(resource === 'cluster' ? [] : [nameIn(place, resource)]),
    '--allow-principal',
    'User:NAME',
  ]
  return new TransportError('MILLRACE_KAFKA_NOT_AUTHORIZED', 'fatal', {
    message: `Kafka does not let this user do ${api} for ${place}. Give the user the right${which} on the ${resource} (${line.join(' ')}), or connect as another.`,
    place,
    isAccess: true,
  })
}

/** The name of the topic, group or transactional id in the words of a place. */
function nameIn(place: string, resource: string): string {
  const name = place.replace(/^(topic|group|transaction) /, '')
  return resource === 'topic' ? name.replace(/\[\d+\]$/, '') : name
}

/** On what the right is missing. */
const RESOURCES: ReadonlyMap<number, string> = new Map([
  [CODE.topicAuthorizationFailed, 'topic'],
  [CODE.groupAuthorizationFailed, 'group'],
  [CODE.clusterAuthorizationFailed, 'cluster'],
  [CODE.transactionalIdAuthorizationFailed, 'transactional id'],
])

/** Which operation of an ACL lets a request through. Source: Kafka's documentation, "Protocol Authorization". */
const OPERATIONS: ReadonlyMap<string, string> = new Map([
  ['Metadata', 'Describe'],
  ['DescribeConfigs', 'DescribeConfigs'],
  ['CreateTopics', 'Create'],
  ['DeleteTopics', 'Delete'],
  ['DeleteRecords', 'Delete'],
  ['ListOffsets', 'Describe'],
  ['OffsetForLeaderEpoch', 'Describe'],
  ['Fetch', 'Read'],
  ['Produce', 'Write'],
  ['FindCoordinator', 'Describe'],
  ['InitProducerId', 'Write'],
  ['AddPartitionsToTxn', 'Write'],
  ['AddOffsetsToTxn', 'Read'],
  ['TxnOffsetCommit', 'Read'],
  ['EndTxn', 'Write'],
  ['JoinGroup', 'Read'],
  ['SyncGroup', 'Read'],
  ['Heartbeat', 'Read'],
  ['LeaveGroup', 'Read'],
  ['OffsetFetch', 'Describe'],
  ['OffsetCommit', 'Read'],
  ['DescribeGroups', 'Describe'],
  ['DeleteGroups', 'Delete'],
])

const NEXT: Readonly<Record<TransportErrorKind, string>> = {
  retriable: 'It may succeed when it is tried again.',
  abortable: 'Abort what is open and do its work again.',
  fenced: 'Another one took over: stop this one.',
  fatal: 'Trying again does not help: mend what it names, or look into the log of the broker.',
}

const CODES: readonly (readonly [code: number, name: string, kind: TransportErrorKind])[] = [
  [-1, 'UNKNOWN_SERVER_ERROR', 'fatal'],
  [1, 'OFFSET_OUT_OF_RANGE', 'fatal'],
  [2, 'CORRUPT_MESSAGE', 'retriable'],
  [3, 'UNKNOWN_TOPIC_OR_PARTITION', 'retriable'],
  [4, 'INVALID_FETCH_SIZE', 'fatal'],
  [5, 'LEADER_NOT_AVAILABLE', 'retriable'],
  [6, 'NOT_LEADER_OR_FOLLOWER', 'retriable'],
  [7, 'REQUEST_TIMED_OUT', 'retriable'],
  [8, 'BROKER_NOT_AVAILABLE', 'retriable'],
  [9, 'REPLICA_NOT_AVAILABLE', 'retriable'],
  [10, 'MESSAGE_TOO_LARGE', 'abortable'],
  [11, 'STALE_CONTROLLER_EPOCH', 'fatal'],
  [12, 'OFFSET_METADATA_TOO_LARGE', 'abortable'],
  [13, 'NETWORK_EXCEPTION', 'retriable'],
  [14, 'COORDINATOR_LOAD_IN_PROGRESS', 'retriable'],
  [15, 'COORDINATOR_NOT_AVAILABLE', 'retriable'],
  [16, 'NOT_COORDINATOR', 'retriable'],
  [17, 'INVALID_TOPIC_EXCEPTION', 'fatal'],
  [18, 'RECORD_LIST_TOO_LARGE', 'abortable'],
  [19, 'NOT_ENOUGH_REPLICAS', 'retriable'],
  [20, 'NOT_ENOUGH_REPLICAS_AFTER_APPEND', 'retriable'],
  [21, 'INVALID_REQUIRED_ACKS', 'fatal'],
  [22, 'ILLEGAL_GENERATION', 'abortable'],
  [23, 'INCONSISTENT_GROUP_PROTOCOL', 'fatal'],
  [24, 'INVALID_GROUP_ID', 'fatal'],
  [25, 'UNKNOWN_MEMBER_ID', 'abortable'],
  [26, 'INVALID_SESSION_TIMEOUT', 'fatal'],
  [27, 'REBALANCE_IN_PROGRESS', 'abortable'],
  [28, 'INVALID_COMMIT_OFFSET_SIZE', 'fatal'],
  [29, 'TOPIC_AUTHORIZATION_FAILED', 'fatal'],
  [30, 'GROUP_AUTHORIZATION_FAILED', 'fatal'],
  [31, 'CLUSTER_AUTHORIZATION_FAILED', 'fatal'],
  [32, 'INVALID_TIMESTAMP', 'fatal'],
  [33, 'UNSUPPORTED_SASL_MECHANISM', 'fatal'],
  [34, 'ILLEGAL_SASL_STATE', 'fatal'],
  [35, 'UNSUPPORTED_VERSION', 'fatal'],
  [36, 'TOPIC_ALREADY_EXISTS', 'fatal'],
  [37, 'INVALID_PARTITIONS', 'fatal'],
  [38, 'INVALID_REPLICATION_FACTOR', 'fatal'],
  [39, 'INVALID_REPLICA_ASSIGNMENT', 'fatal'],
  [40, 'INVALID_CONFIG', 'fatal'],
  [41, 'NOT_CONTROLLER', 'retriable'],
  [42, 'INVALID_REQUEST', 'fatal'],
  [43, 'UNSUPPORTED_FOR_MESSAGE_FORMAT', 'abortable'],
  [44, 'POLICY_VIOLATION', 'fatal'],
  [45, 'OUT_OF_ORDER_SEQUENCE_NUMBER', 'abortable'],
  [46, 'DUPLICATE_SEQUENCE_NUMBER', 'abortable'],
  [47, 'INVALID_PRODUCER_EPOCH', 'fenced'],
  [48, 'INVALID_TXN_STATE', 'abortable'],
  [49, 'INVALID_PRODUCER_ID_MAPPING', 'abortable'],
  [50, 'INVALID_TRANSACTION_TIMEOUT', 'fatal'],
  [51, 'CONCURRENT_TRANSACTIONS', 'retriable'],
  [52, 'TRANSACTION_COORDINATOR_FENCED', 'retriable'],
  [53, 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED', 'fatal'],
  [54, 'SECURITY_DISABLED', 'fatal'],
  [55, 'OPERATION_NOT_ATTEMPTED', 'fatal'],
  [56, 'KAFKA_STORAGE_ERROR', 'retriable'],
  [57, 'LOG_DIR_NOT_FOUND', 'fatal'],
  [58, 'SASL_AUTHENTICATION_FAILED', 'fatal'],
  [59, 'UNKNOWN_PRODUCER_ID', 'abortable'],
  [60, 'REASSIGNMENT_IN_PROGRESS', 'fatal'],
  [61, 'DELEGATION_TOKEN_AUTH_DISABLED', 'fatal'],
  [62, 'DELEGATION_TOKEN_NOT_FOUND', 'fatal'],
  [63, 'DELEGATION_TOKEN_OWNER_MISMATCH', 'fatal'],
  [64, 'DELEGATION_TOKEN_REQUEST_NOT_ALLOWED', 'fatal'],
  [65, 'DELEGATION_TOKEN_AUTHORIZATION_FAILED', 'fatal'],
  [66, 'DELEGATION_TOKEN_EXPIRED', 'fatal'],
  [67, 'INVALID_PRINCIPAL_TYPE', 'fatal'],
  [68, 'NON_EMPTY_GROUP', 'fatal'],
  [69, 'GROUP_ID_NOT_FOUND', 'fatal'],
  [70, 'FETCH_SESSION_ID_NOT_FOUND', 'retriable'],
  [71, 'INVALID_FETCH_SESSION_EPOCH', 'retriable'],
  [72, 'LISTENER_NOT_FOUND', 'retriable'],
  [73, 'TOPIC_DELETION_DISABLED', 'fatal'],
  [74, 'FENCED_LEADER_EPOCH', 'retriable'],
  [75, 'UNKNOWN_LEADER_EPOCH', 'retriable'],
  [76, 'UNSUPPORTED_COMPRESSION_TYPE', 'fatal'],
  [77, 'STALE_BROKER_EPOCH', 'retriable'],
  [78, 'OFFSET_NOT_AVAILABLE', 'retriable'],
  [79, 'MEMBER_ID_REQUIRED', 'abortable'],
  [80, 'PREFERRED_LEADER_NOT_AVAILABLE', 'retriable'],
  [81, 'GROUP_MAX_SIZE_REACHED', 'fatal'],
  [82, 'FENCED_INSTANCE_ID', 'fenced'],
  [83, 'ELIGIBLE_LEADERS_NOT_AVAILABLE', 'retriable'],
  [84, 'ELECTION_NOT_NEEDED', 'fatal'],
  [85, 'NO_REASSIGNMENT_IN_PROGRESS', 'fatal'],
  [86, 'GROUP_SUBSCRIBED_TO_TOPIC', 'fatal'],
  [87, 'INVALID_RECORD', 'abortable'],
  [88, 'UNSTABLE_OFFSET_COMMIT', 'retriable'],
  [89, 'THROTTLING_QUOTA_EXCEEDED', 'retriable'],
  [90, 'PRODUCER_FENCED', 'fenced'],
  [91, 'RESOURCE_NOT_FOUND', 'fatal'],
  [92, 'DUPLICATE_RESOURCE', 'fatal'],
  [93, 'UNACCEPTABLE_CREDENTIAL', 'fatal'],
  [94, 'INCONSISTENT_VOTER_SET', 'fatal'],
  [95, 'INVALID_UPDATE_VERSION', 'fatal'],
  [96, 'FEATURE_UPDATE_FAILED', 'fatal'],
  [97, 'PRINCIPAL_DESERIALIZATION_FAILURE', 'fatal'],
  [98, 'SNAPSHOT_NOT_FOUND', 'fatal'],
  [100, 'UNKNOWN_TOPIC_ID', 'retriable'],
  [101, 'DUPLICATE_BROKER_REGISTRATION', 'fatal'],
  [102, 'BROKER_ID_NOT_REGISTERED', 'fatal'],
  [103, 'INCONSISTENT_TOPIC_ID', 'retriable'],
  [104, 'INCONSISTENT_CLUSTER_ID', 'fatal'],
  [105, 'TRANSACTIONAL_ID_NOT_FOUND', 'fatal'],
  [106, 'FETCH_SESSION_TOPIC_ID_ERROR', 'retriable'],
  [107, 'INELIGIBLE_REPLICA', 'fatal'],
  [108, 'NEW_LEADER_ELECTED', 'retriable'],
  [109, 'OFFSET_MOVED_TO_TIERED_STORAGE', 'fatal'],
  [110, 'FENCED_MEMBER_EPOCH', 'abortable'],
  [111, 'UNRELEASED_INSTANCE_ID', 'fenced'],
  [112, 'UNSUPPORTED_ASSIGNOR', 'fatal'],
  [113, 'STALE_MEMBER_EPOCH', 'abortable'],
  [114, 'MISMATCHED_ENDPOINT_TYPE', 'fatal'],
  [115, 'UNSUPPORTED_ENDPOINT_TYPE', 'fatal'],
  [116, 'UNKNOWN_CONTROLLER_ID', 'fatal'],
  [117, 'UNKNOWN_SUBSCRIPTION_ID', 'fatal'],
  [118, 'TELEMETRY_TOO_LARGE', 'fatal'],
  [119, 'INVALID_REGISTRATION', 'fatal'],
  [120, 'TRANSACTION_ABORTABLE', 'abortable'],
  [121, 'INVALID_RECORD_STATE', 'fatal'],
  [122, 'SHARE_SESSION_NOT_FOUND', 'fatal'],
  [123, 'INVALID_SHARE_SESSION_EPOCH', 'fatal'],
  [124, 'FENCED_STATE_EPOCH', 'fatal'],
  [125, 'INVALID_VOTER_KEY', 'fatal'],
  [126, 'DUPLICATE_VOTER', 'fatal'],
  [127, 'VOTER_NOT_FOUND', 'fatal'],
  [128, 'INVALID_REGULAR_EXPRESSION', 'fatal'],
  [129, 'REBOOTSTRAP_REQUIRED', 'retriable'],
  [130, 'STREAMS_INVALID_TOPOLOGY', 'fatal'],
  [131, 'STREAMS_INVALID_TOPOLOGY_EPOCH', 'fatal'],
  [132, 'STREAMS_TOPOLOGY_FENCED', 'fatal'],
  [133, 'SHARE_SESSION_LIMIT_REACHED', 'fatal'],
]

const BY_CODE = new Map(CODES.map(([code, name, kind]) => [code, { name, kind }]))
