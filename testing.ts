/** What users of millrace test with: a log in memory, time moved by hand, and the suites that every implementation of a contract runs. */
export { serdeConformance, type SerdeSuite } from './serdes/conformance.ts'
export {
  databaseConformance,
  keyValueStoreConformance,
  type DatabaseHarness,
  type KeyValueStoreHarness,
} from './state/conformance.ts'
export { SimulatedClock } from './testing/simulated-clock.ts'
export { transportConformance } from './transport/conformance.ts'
export type { TransportHarness } from './transport/conformance-world.ts'
export { memoryLog, type MemoryLog, type MemoryLogOptions } from './transport/memory/memory-log.ts'
export { annotatorConformance, type AnnotatorHarness } from './video/annotators/conformance.ts'
