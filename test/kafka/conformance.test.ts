import { inject } from 'vitest'
import { conformanceOn } from './conformance-on.ts'

conformanceOn('Kafka with one node', () => inject('kafkaBrokers'))
