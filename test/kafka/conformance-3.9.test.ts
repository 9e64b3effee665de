import { conformanceOnOwn } from './conformance-on.ts'

conformanceOnOwn('Kafka 3.9 with one node', { version: '3.9.1' })
