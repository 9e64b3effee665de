/** The public surface of millrace, in the order of its layers. */

// Words that everybody shares
export type { Clock, LoopWatched, Timer } from './model/clock.ts'
export { days, hours, minutes, seconds } from './model/duration.ts'
export { isMillraceError, MillraceError, type ErrorDetails, type Remedy } from './model/errors.ts'
export { asOffset, asPartition, asTopic } from './model/position.ts'
export type { Offset, Partition, PartitionOffset, Topic, TopicPartition } from './model/position.ts'
export { LogRecord, NO_HEADERS, StreamRecord, type Header, type Headers } from './model/record.ts'

// Values and bytes
export type { AvroSchema } from './serdes/avro-type.ts'
export { avro, type AvroSerde, type AvroType } from './serdes/avro.ts'
export { SerdeError, type SerdeErrorCode, type SerdeErrorDetails } from './serdes/errors.ts'
export { fileRegistry } from './serdes/file-registry.ts'
export { heldRegistry, registrar } from './serdes/held-registry.ts'
export type { RegistryAuth } from './serdes/http-registry-access.ts'
export type {
  CallOptions,
  Compatibility,
  CompatibilityLevel,
  HttpRegistry,
  HttpRegistryAddress,
  HttpRegistryOptions,
  RegisteredSchema,
  SchemaOptions,
  SchemaReference,
} from './serdes/http-registry-contract.ts'
export type { HttpRegistryLimits } from './serdes/http-registry-limits.ts'
export { httpRegistry } from './serdes/http-registry.ts'
export { json } from './serdes/json.ts'
export { memoryRegistry } from './serdes/memory-registry.ts'
export { bytes, float64, int32, int64, text, uuid } from './serdes/primitives.ts'
export type { Registry } from './serdes/registry.ts'
export {
  SchemaPending,
  type OpenSerde,
  type Room,
  type Serde,
  type SerdeContext,
} from './serdes/serde.ts'
export {
  describeWindowed,
  sessionWindowed,
  timeWindowed,
  type Windowed,
} from './serdes/windowed.ts'

// Logs
export { openEmbeddedLog } from './transport/embedded/open.ts'
export type { EmbeddedTransport } from './transport/embedded/embedded-transport.ts'
export type {
  Durability,
  EmbeddedLogLimits,
  EmbeddedLogOptions,
  TaskAnswer,
} from './transport/embedded/limits.ts'
export { TransportError, type TransportErrorKind } from './transport/errors.ts'
export type { Compression } from './transport/kafka/codecs.ts'
export type { FetchLimits } from './transport/kafka/reader/fetch-limits.ts'
export {
  readKafkaOptions,
  type KafkaOptions,
  type OptionSources,
} from './transport/kafka/options/kafka-options.ts'
export type { KafkaLimits } from './transport/kafka/limits.ts'
export { openKafka } from './transport/kafka/open.ts'
export type { ProducerLimits } from './transport/kafka/producer/producer-limits.ts'
export type { KafkaSasl, KafkaTls } from './transport/kafka/options/security.ts'
export type {
  Assigned,
  Assignor,
  GroupMember,
  GroupMemberDescription,
  MemberAssignment,
  Membership,
  MembershipListener,
  MembershipOptions,
} from './transport/membership.ts'
export type {
  Admin,
  CommittedOffset,
  Cursor,
  CursorStart,
  FetchedBatch,
  FoundRecord,
  GroupMetadata,
  Isolation,
  LogEnd,
  NewTopic,
  Producer,
  ProducerOptions,
  ProducerRecord,
  Reader,
  ReaderOptions,
  TopicConfig,
  TopicDescription,
  Transport,
} from './transport/transport.ts'

// Operators
export type { Aggregation } from './processors/aggregate.ts'
export type { Branch } from './processors/branch.ts'
export type { EnrichOptions, EnrichTuning, TerminalPolicy } from './processors/enrich-options.ts'
export type {
  ClassifyFailure,
  EnrichAttempt,
  Enricher,
  EnrichSession,
  FailureClass,
  FunctionEnricher,
  PushedRecord,
  SessionEnricher,
  SessionStart,
} from './processors/enricher.ts'
export type { ExpiryPolicy, JoinOnceOptions } from './processors/join-once.ts'
export {
  joinWindows,
  type JoinWindows,
  type JoinWindowsOptions,
} from './processors/join-windows.ts'
export type { Dereferenced, Lease, Payloads, Reference } from './processors/payloads.ts'
export { referenceSchema } from './processors/reference-serde.ts'
export type {
  DeadLetter,
  Processor,
  ProcessorContext,
  ProcessRecord,
  PunctuationType,
  Scheduled,
  SourceRecord,
} from './processors/processor.ts'
export type { SessionAggregation } from './processors/session-aggregate.ts'
export { sessions, type SessionWindows } from './processors/session-windows.ts'
export {
  hopping,
  tumbling,
  type TimeWindows,
  type WindowOptions,
} from './processors/time-windows.ts'
export type { OpenedDatabase, StateHome } from './state/home.ts'
export type {
  Database,
  DatabaseWrite,
  JoinWindowStore,
  JoinWindowStoreSpec,
  KeyRange,
  KeyValueStore,
  KeyValueStoreSpec,
  ReadOnlyKeyValueStore,
  ReadOnlySessionStore,
  ReadOnlyWindowStore,
  Session,
  SessionStore,
  SessionStoreSpec,
  StepTime,
  ValueAndTimestamp,
  WindowEntry,
  WindowStore,
  WindowStoreSpec,
} from './state/store.ts'

// Pipelines
export type { Branches, KBranchedStream } from './topology/branched.ts'
export { topology, type TopologyBuilder } from './topology/builder.ts'
export { describeJson } from './topology/describe-json.ts'
export { describeMermaid } from './topology/describe-mermaid.ts'
export { describe } from './topology/describe.ts'
export type {
  PartitionBy,
  TimestampedRecord,
  TimestampExtractor,
  Topology,
} from './topology/graph.ts'
export type { KGroupedTable } from './topology/grouped-table.ts'
export type { KGroupedStream } from './topology/grouped.ts'
export type {
  AggregateOptions,
  CountOptions,
  GroupTableOptions,
  Named,
  ReduceOptions,
  SourceOptions,
  StoreStep,
  TableAggregator,
  TableOptions,
  ValueStep,
  WindowedAggregateOptions,
  WindowedCountOptions,
  WindowedReduceOptions,
  WindowStoreStep,
  Written,
} from './topology/options.ts'
export { TopologyError, type ProblemCode, type TopologyProblem } from './topology/problem.ts'
export { KStream } from './topology/stream.ts'
export { KTable } from './topology/table.ts'
export {
  failOnInvalidTimestamp,
  logAndSkipOnInvalidTimestamp,
  usePartitionTimeOnInvalidTimestamp,
  wallclockTimestamp,
} from './topology/timestamps.ts'
export type { SessionWindowedKStream } from './topology/session-windowed.ts'
export type { TimeWindowedKStream } from './topology/windowed.ts'

// Running them
export { streams, StreamsApp } from './runtime/app.ts'
export type { GroupAssignment, StaticAssignment } from './runtime/assignment.ts'
export type {
  Guarantee,
  StateLocation,
  StreamsEvent,
  StreamsLimits,
  StreamsOptions,
} from './runtime/config.ts'
export type { LocalSessionStore } from './runtime/local-session-store.ts'
export type { LocalStore, LocalStoreOptions } from './runtime/local-store.ts'
export type { LocalWindowStore } from './runtime/local-window-store.ts'
export type { FailurePolicies, RecordPolicy } from './runtime/failure.ts'
export type { Counter } from './runtime/metrics.ts'
export { systemClock, type SystemClockOptions } from './runtime/system-clock.ts'
export type { AppState } from './runtime/task-state.ts'

// Video
export { annotate } from './video/annotators/annotate.ts'
export type {
  AnnotationProgress,
  AnnotationStream,
  Annotator,
  VideoStart,
} from './video/annotators/annotator.ts'
export {
  AnnotatorError,
  type AnnotatorErrorDetails,
  type FailureKind,
} from './video/annotators/failure.ts'
export { google, type GoogleOptions } from './video/annotators/google.ts'
export { local, type LocalOptions } from './video/annotators/local.ts'
export type { IngestProgress, IngestResult } from './video/ingest-attempt.ts'
export { ingest, type IngestOptions } from './video/ingest.ts'
export { videoEnrichmentWithBytes } from './video/pipeline-with-bytes.ts'
export { videoEnrichment } from './video/pipeline.ts'
export { AnnotatedChunk, Annotation, Chunk, ChunkKey, Shot, VideoState } from './video/schemas.ts'
export { videoTopics, type VideoTopicOptions } from './video/topics.ts'
