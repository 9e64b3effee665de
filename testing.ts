/** What users of millrace test with: a driver for topologies, a log in memory, time moved by hand, and the suites that every implementation of a contract runs. */
export { serdeConformance, type SerdeSuite } from './serdes/conformance.ts'
export {
  registryConformance,
  type OpenRegistry,
  type RegistryHarness,
} from './serdes/registry-conformance.ts'
export {
  databaseConformance,
  keyValueStoreConformance,
  type DatabaseHarness,
  type KeyValueStoreHarness,
} from './state/conformance.ts'
export { joinWindowStoreConformance } from './state/join-window-conformance.ts'
export { sessionStoreConformance } from './state/session-conformance.ts'
export {
  CONFORMANCE_TIMES,
  type OpenedTimedStore,
  type TimedStoreHarness,
} from './state/timed-conformance.ts'
export { windowStoreConformance } from './state/window-conformance.ts'
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
export { memoryLog, type MemoryLog, type MemoryLogOptions } from './transport/memory/memory-log.ts'
export { annotatorConformance, type AnnotatorHarness } from './video/annotators/conformance.ts'
