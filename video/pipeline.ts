/**
 * The flagship: chunks of videos, annotated shot by shot, joined with their annotations. The bytes
 * stay in videos.raw; everything behind carries references to them.
 */
import { hours } from '../model/duration.ts'
import type { EnrichTuning } from '../processors/enrich-options.ts'
import { avro } from '../serdes/avro.ts'
import { topology } from '../topology/builder.ts'
import type { Topology } from '../topology/graph.ts'
import { annotate } from './annotators/annotate.ts'
import type { Annotator } from './annotators/annotator.ts'
import { AnnotatedChunk, Annotation, Chunk, ChunkKey } from './schemas.ts'
import { ENRICHED_TOPIC, JOINED_TOPIC, RAW_TOPIC } from './topics.ts'

const videoOf = (key: ChunkKey): string => key.videoId

/** The video pipeline with an annotator, within these limits: videos.raw to videos.enriched and videos.joined. */
export function videoEnrichment(annotator: Annotator, limits: EnrichTuning = {}): Topology {
  return topology('video-enrichment', ({ stream }) => {
    const raw = stream(RAW_TOPIC, {
      key: avro(ChunkKey),
      value: avro(Chunk),
      partitionBy: videoOf,
    }).byReference()
    const shots = raw.enrich('annotate', annotate(annotator), { orderBy: videoOf, ...limits })
    shots.to(ENRICHED_TOPIC, { value: avro(Annotation) })
    raw
      .joinOnce('annotated', shots, (chunk, annotation) => ({ chunk, annotation }), {
        expireAfter: hours(6),
      })
      .to(JOINED_TOPIC, { value: avro(AnnotatedChunk) })
  })
}
