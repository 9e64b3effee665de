import { TestCluster } from './broker.ts'
import { conformanceOnce } from './conformance-on.ts'

conformanceOnce('Kafka 3.9 with one node', () => TestCluster.start({ version: '3.9.1' }))
