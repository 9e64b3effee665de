/** What users of millrace test with: a driver for topologies, a log in memory, time moved by hand, and the suites that every implementation of a contract runs. */
export { serdeConformance, type SerdeSuite, type TestFunction } from './serdes/conformance.ts'
export {
  registryConformance,
  type OpenRegistry,
  type RegistryHarness,
} from './serdes/registry-conformance.ts'
export { databaseConformance, type DatabaseHarness } from './state/conformance.ts'
export type { RestartAfter, SettleOptions } from './testing/driven-app.ts'
export { handClock, HandClock, type HandClockOptions } from './testing/hand-clock.ts'
export { SimulatedClock } from './testing/simulated-clock.ts'
export type {
  InputOptions,
  InputRecord,
  PipeOptions,
  TestInputTopic,
} from './testing/test-input-topic.ts'
export type { OutputOptions, OutputRecord, TestOutputTopic } from './testing/test-output-topic.ts'
export {
  topologyTestDriver,
  type TestDriverOptions,
  type TopologyTestDriver,
} from './testing/topology-test-driver.ts'
export { transportConformance } from './transport/conformance.ts'
export type { TransportHarness } from './transport/conformance-world.ts'
export type { Fate, Faults, Marker, Operation, OperationKind } from './transport/memory/faults.ts'
export {
  memoryLog,
  type MemoryConnection,
  type MemoryLog,
  type MemoryLogOptions,
} from './transport/memory/memory-log.ts'
export {
  annotatorConformance,
  type AnnotatedClip,
  type AnnotatorHarness,
  type OpenAnnotator,
} from './video/annotators/conformance.ts'
