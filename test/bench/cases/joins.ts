/** Joins of small records: each record of either side meets exactly one of the other. */
import { seconds } from '../../../model/duration.ts'
import { joinWindows } from '../../../processors/join-windows.ts'
import { text } from '../../../serdes/primitives.ts'
import { topology } from '../../../topology/builder.ts'
import type { Topology } from '../../../topology/graph.ts'
import type { BenchCase } from '../bench-case.ts'
import { KEYS, OUT, runLoop, type LoopInput } from '../loop-runs.ts'

const SERDES = { key: text, value: text }

/** A key comes again on its side after 20 s; its partner comes a millisecond later. */
const LEFT: LoopInput = { topic: 'left', share: half, timestampMs: (i) => 1_000 + 2 * i }
const RIGHT: LoopInput = { topic: 'right', share: half, timestampMs: (i) => 1_001 + 2 * i }
const TABLE: LoopInput = { topic: 'table', share: () => KEYS, timestampMs: () => 0 }
const STREAM: LoopInput = { topic: 'stream', share: (n) => n, timestampMs: (i) => 1_000 + i }

function half(records: number): number {
  return Math.ceil(records / 2)
}

const both = (left: string | null, right: string | null): string => `${left}${right}`

function streams(prefix: string): Topology {
  return topology(`${prefix}streams`, ({ stream }) => {
    const right = stream(prefix + RIGHT.topic, SERDES)
    stream(prefix + LEFT.topic, SERDES)
      .join(right, both, { windows: joinWindows(seconds(10)), value: text })
      .to(OUT)
  })
}

function outerStreams(prefix: string): Topology {
  return topology(`${prefix}outer`, ({ stream }) => {
    const right = stream(prefix + RIGHT.topic, SERDES)
    stream(prefix + LEFT.topic, SERDES)
      .outerJoin(right, both, { windows: joinWindows(seconds(10)), value: text })
      .to(OUT)
  })
}

function withTable(prefix: string): Topology {
  return topology(`${prefix}lookup`, ({ stream, table }) => {
    const rows = table(prefix + TABLE.topic, SERDES)
    stream(prefix + STREAM.topic, SERDES)
      .join(rows, both, { value: text })
      .to(OUT)
  })
}

/** The case. */
export const joins: BenchCase = {
  name: 'joins',
  summary: 'joins of small records on the memory log, exactly once; records in, of both sides',
  unit: 'records',
  compares: false,
  variants: [
    {
      name: 'stream–table join',
      run: async (place, measure) => {
        const run = { inputs: [TABLE, STREAM], pipeline: withTable }
        await runLoop(run, place, measure)
      },
    },
    {
      name: 'stream–stream join',
      run: async (place, measure) =>
        await runLoop({ inputs: [LEFT, RIGHT], pipeline: streams }, place, measure),
    },
    {
      name: 'stream–stream outer join',
      run: async (place, measure) =>
        await runLoop({ inputs: [LEFT, RIGHT], pipeline: outerStreams }, place, measure),
    },
  ],
}
