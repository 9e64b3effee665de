/** The suite that needs real servers from Maven Central: `npm run test:kafka`, never part of `npm test`. */
import { defineConfig } from 'vitest/config'
import { COMPILED } from '../compile-ahead.ts'
import { FileOrder } from './file-order.ts'

export default defineConfig({
  test: {
    root: `${import.meta.dirname}/../..`,
    include: ['test/kafka/**/*.test.ts'],
    environment: 'node',
    globalSetup: ['test/compile-ahead.ts', 'test/kafka/shared-cluster.ts'],
    env: COMPILED,
    pool: 'forks',
    // Half of the time a file waits for brokers to notice something.
    maxWorkers: 2,
    sequence: { sequencer: FileOrder },
    testTimeout: 60_000,
    // The first run fetches a hundred megabytes; and a file may wait for others that have the nodes.
    hookTimeout: 600_000,
  },
  resolve: { conditions: ['millrace-source'] },
  ssr: { resolve: { conditions: ['millrace-source'] } },
})
