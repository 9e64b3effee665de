import { borrowNodes } from './borrowed-nodes.ts'
import { conformanceOnce } from './conformance-on.ts'

conformanceOnce('Kafka 4.1 with three nodes', borrowNodes)
