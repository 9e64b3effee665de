/**
 * One cluster of one node for all files of a run: `inject('kafkaBrokers')` in a test. Brokers that are
 * there already are used instead where MILLRACE_TEST_BROKERS names them (host:port, commas between).
 */
import type { TestProject } from 'vitest/node'
import { TestCluster } from './broker.ts'

declare module 'vitest' {
  interface ProvidedContext {
    readonly kafkaBrokers: readonly string[]
  }
}

/** Starts the cluster; vitest calls what is returned at the end of the run. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const existing = process.env['MILLRACE_TEST_BROKERS']
  if (existing !== undefined && existing !== '') {
    project.provide('kafkaBrokers', existing.split(','))
    return async () => {}
  }
  const cluster = await TestCluster.start()
  project.provide('kafkaBrokers', cluster.brokers)
  return async () => await cluster[Symbol.asyncDispose]()
}
