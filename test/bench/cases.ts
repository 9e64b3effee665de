/** All benchmarks, in the order they are run. */
import type { BenchCase } from './bench-case.ts'
import { flagship } from './cases/flagship.ts'
import { ingestRate } from './cases/ingest.ts'
import { kafkaApps, kafkaVideo } from './cases/kafka-apps.ts'
import { kafkaFetch } from './cases/kafka-fetch.ts'
import { kafkaIngest } from './cases/kafka-ingest.ts'
import { kafkaProduce } from './cases/kafka-produce.ts'
import { joins } from './cases/joins.ts'
import { recordLoop } from './cases/record-loop.ts'
import { restore } from './cases/restore.ts'

/** Every case there is. */
export const CASES: readonly BenchCase[] = [
  ingestRate,
  flagship,
  recordLoop,
  joins,
  restore,
  ...kafkaProduce,
  ...kafkaFetch,
  ...kafkaIngest,
  kafkaApps,
  kafkaVideo,
]
