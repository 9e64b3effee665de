import { afterAll, beforeAll } from 'vitest'
import { borrowNodes, type BorrowedNodes } from './borrowed-nodes.ts'
import { conformanceOnce } from './conformance-on.ts'

let nodes: BorrowedNodes | undefined

beforeAll(async () => {
  nodes = await borrowNodes()
})

afterAll(() => nodes?.[Symbol.asyncDispose]())

conformanceOnce('Kafka 4.1 with three nodes', () => nodes?.brokers ?? [])
