import { defineConfig } from 'vitest/config'
import { COMPILED } from './test/compile-ahead.ts'
import { LongestFirst } from './test/longest-first.ts'

/**
 * Files whose subjects keep no state of their own and start hardly any program: they share workers,
 * which saves each of them a start, and loading the same modules again.
 */
const SHARING = [
  'test/{model,processors,serdes,testing,topology,transport/kafka}/**/*.test.ts',
  'test/{runtime,state}/!(directory|kill|rebalance).test.ts',
]
const NEVER = ['test/kafka/**', 'node_modules/**', 'dist/**']

export default defineConfig({
  test: {
    environment: 'node',
    pool: 'forks',
    // All cores: much of the time is spent waiting for children, disks and sockets.
    maxWorkers: '100%',
    testTimeout: 60_000,
    hookTimeout: 60_000,
    sequence: { sequencer: LongestFirst },
    globalSetup: ['test/compile-ahead.ts'],
    env: COMPILED,
    projects: [
      {
        extends: true,
        test: {
          name: 'alone',
          include: ['test/**/*.test.ts'],
          exclude: [...NEVER, ...SHARING],
        },
      },
      {
        extends: true,
        test: { name: 'sharing', include: SHARING, exclude: NEVER, isolate: false },
      },
    ],
  },
  resolve: { conditions: ['millrace-source'] },
  ssr: { resolve: { conditions: ['millrace-source'] } },
})
