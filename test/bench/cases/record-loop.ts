/** The record loop alone, on one topic of small records. */
import { minutes } from '../../../model/duration.ts'
import { tumbling } from '../../../processors/time-windows.ts'
import { int64, text } from '../../../serdes/primitives.ts'
import { topology } from '../../../topology/builder.ts'
import type { Topology } from '../../../topology/graph.ts'
import type { BenchCase, BenchVariant } from '../bench-case.ts'
import { OUT, runLoop, type LoopInput } from '../loop-runs.ts'

const IN: LoopInput = { topic: 'in', share: (records) => records, timestampMs: (i) => 1_000 + i }

function passThrough(prefix: string): Topology {
  return topology(`${prefix}pass`, ({ stream }) => {
    stream(prefix + IN.topic, { key: text, value: text }).to(OUT)
  })
}

function counting(prefix: string): Topology {
  return topology(`${prefix}count`, ({ stream }) => {
    stream(prefix + IN.topic, { key: text, value: text })
      .groupByKey()
      .count({ store: 'counts' })
      .toStream()
      .to(OUT, { value: int64 })
  })
}

/** Each key comes six times in each window. */
function countingWindows(prefix: string): Topology {
  return topology(`${prefix}windows`, ({ stream }) => {
    stream(prefix + IN.topic, { key: text, value: text })
      .groupByKey()
      .windowedBy(tumbling(minutes(1)))
      .count({ store: 'counts' })
      .toStream()
      .to(OUT, { value: int64 })
  })
}

function variant(name: string, pipeline: (prefix: string) => Topology): BenchVariant {
  return {
    name,
    run: async (place, measure) => await runLoop({ inputs: [IN], pipeline }, place, measure),
  }
}

/** The case. */
export const recordLoop: BenchCase = {
  name: 'loop',
  summary: 'small records through the record loop on the memory log, exactly once',
  unit: 'records',
  compares: false,
  variants: [
    variant('pass-through', passThrough),
    variant('count', counting),
    variant('windowed count', countingWindows),
  ],
}
