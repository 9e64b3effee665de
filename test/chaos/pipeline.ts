/** The one topology of the chaos test: every kind of step that keeps state or moves records, side by side. */
import { hours } from '../../model/duration.ts'
import { joinWindows } from '../../processors/join-windows.ts'
import { tumbling } from '../../processors/time-windows.ts'
import { avro } from '../../serdes/avro.ts'
import { float64, text } from '../../serdes/primitives.ts'
import { topology, type TopologyBuilder } from '../../topology/builder.ts'
import type { Topology } from '../../topology/graph.ts'
import { annotate } from '../../video/annotators/annotate.ts'
import { instant } from '../../video/annotators/instant.ts'
import { AnnotatedChunk, Annotation, Chunk, ChunkKey } from '../../video/schemas.ts'
import { amountOf, INPUT, otherKeyOf, OUTPUT, PAIR_MS, WINDOW_MS } from './shape.ts'

const STRINGS = { value: text } as const

/** Echo, aggregates, windows, a repartition, a join of streams, and the flagship. */
export function chaosPipeline(): Topology {
  return topology('chaos', (builder) => {
    declareNumbers(builder)
    declarePairs(builder)
    declareVideo(builder)
  })
}

function declareNumbers({ stream }: TopologyBuilder): void {
  const numbers = stream(INPUT.numbers, { key: text, value: text })
  numbers.to(OUTPUT.echo)
  const grouped = numbers.groupByKey()
  grouped
    .count({ store: 'counts' })
    .toStream()
    .mapValues((count) => String(count), STRINGS)
    .to(OUTPUT.counted)
  grouped
    .aggregate(
      { initial: () => Infinity, add: (least, n) => Math.min(least, amountOf(Number(n))) },
      { store: 'least', value: float64 },
    )
    .toStream()
    .mapValues((least) => String(least), STRINGS)
    .to(OUTPUT.minima)
  grouped
    .aggregate(
      { initial: () => 0, add: (sum, n) => sum + amountOf(Number(n)) },
      { store: 'totals', value: float64 },
    )
    .toStream()
    .mapValues((sum) => String(sum), STRINGS)
    .to(OUTPUT.sums)
  grouped
    .windowedBy(tumbling(WINDOW_MS, { graceMs: hours(24) }))
    .count({ store: 'windows' })
    .toStream()
    .mapValues((count) => String(count), STRINGS)
    .to(OUTPUT.windowed)
  numbers
    .selectKey(({ value }) => otherKeyOf(Number(value)), { key: text })
    .groupByKey()
    // The count, and which record it came to.
    .aggregate(
      { initial: () => '0', add: (row, n) => `${Number.parseInt(row, 10) + 1}:${n}` },
      { store: 'recounts', value: text },
    )
    .toStream()
    .to(OUTPUT.recounted)
}

function declarePairs({ stream }: TopologyBuilder): void {
  const left = stream(INPUT.left, { key: text, value: text })
  const right = stream(INPUT.right, { key: text, value: text })
  left
    .join(right, (l, r) => `${l}+${r}`, {
      windows: joinWindows(PAIR_MS, { graceMs: hours(24) }),
      value: text,
    })
    .to(OUTPUT.paired)
}

/** As the video pipeline declares it (video/pipeline.ts), within the same topology. */
function declareVideo({ stream }: TopologyBuilder): void {
  const videoOf = (key: ChunkKey): string => key.videoId
  const raw = stream(INPUT.chunks, {
    key: avro(ChunkKey),
    value: avro(Chunk),
    partitionBy: videoOf,
  }).byReference()
  const shots = raw.enrich('annotate', annotate(instant()), { orderBy: videoOf })
  shots.to(OUTPUT.enriched, { value: avro(Annotation) })
  raw
    .joinOnce('annotated', shots, (chunk, annotation) => ({ chunk, annotation }), {
      expireAfter: hours(24),
    })
    .to(OUTPUT.joined, { value: avro(AnnotatedChunk) })
}
