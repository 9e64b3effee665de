/** The suite that needs real servers from Maven Central: `npm run test:kafka`, never part of `npm test`. */
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    root: `${import.meta.dirname}/../..`,
    include: ['test/kafka/**/*.test.ts'],
    environment: 'node',
    globalSetup: ['test/kafka/shared-cluster.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 60_000,
    // The first run fetches a hundred megabytes.
    hookTimeout: 600_000,
  },
  resolve: { conditions: ['millrace-source'] },
  ssr: { resolve: { conditions: ['millrace-source'] } },
})
