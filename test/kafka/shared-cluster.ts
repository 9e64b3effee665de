/**
 * The clusters that the files of a run share: one of one node, `inject('kafkaBrokers')` in a test, and
 * one of three, borrowed by borrowed-nodes.ts. Brokers that are there already are used in place of the
 * one node where MILLRACE_TEST_BROKERS names them (host:port, commas between).
 */
import type { TestProject } from 'vitest/node'
import { TestCluster } from './broker.ts'
import { archiveClasses } from './class-archive.ts'
import { NodesDesk } from './nodes-desk.ts'

declare module 'vitest' {
  interface ProvidedContext {
    readonly kafkaBrokers: readonly string[]
    readonly kafkaNodesPort: number
  }
}

/** Starts the one node; vitest calls what is returned at the end of the run. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  await archiveClasses('4.1.0')
  const existing = process.env['MILLRACE_TEST_BROKERS'] ?? ''
  const cluster = existing === '' ? await TestCluster.start() : undefined
  project.provide('kafkaBrokers', cluster?.brokers ?? existing.split(','))
  const desk = await NodesDesk.open()
  project.provide('kafkaNodesPort', desk.port)
  return async () => {
    await Promise.all([desk[Symbol.asyncDispose](), cluster?.[Symbol.asyncDispose]()])
  }
}
