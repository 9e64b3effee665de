import { conformanceOnOwn } from './conformance-on.ts'

conformanceOnOwn('Kafka 4.1 with three nodes', { nodes: 3 })
