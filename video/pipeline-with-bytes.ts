/**
 * The same pipeline without references: each chunk waits whole in the LevelDB store and leaves whole.
 * The simpler choice for small media, and for consumers that cannot read videos.raw; every chunk is
 * then written again to the state, its changelog and videos.joined.
 */
import { hours } from '../model/duration.ts'
import type { EnrichTuning } from '../processors/enrich-options.ts'
import { avro } from '../serdes/avro.ts'
import { topology } from '../topology/builder.ts'
import type { Topology } from '../topology/graph.ts'
import { annotate } from './annotators/annotate.ts'
import type { Annotator } from './annotators/annotator.ts'
import { AnnotatedChunkBytes, Annotation, Chunk, ChunkKey } from './schemas.ts'
import { ENRICHED_TOPIC, JOINED_TOPIC, RAW_TOPIC } from './topics.ts'

const videoOf = (key: ChunkKey): string => key.videoId

/** The video pipeline with whole chunks in state and output, within these limits. */
export function videoEnrichmentWithBytes(
  annotator: Annotator,
  limits: EnrichTuning = {},
): Topology {
  return topology('video-enrichment-with-bytes', ({ stream }) => {
    const raw = stream(RAW_TOPIC, { key: avro(ChunkKey), value: avro(Chunk), partitionBy: videoOf })
    const shots = raw.enrich('annotate', annotate(annotator), { orderBy: videoOf, ...limits })
    shots.to(ENRICHED_TOPIC, { value: avro(Annotation) })
    raw
      .joinOnce('annotated', shots, (chunk, annotation) => ({ chunk, annotation }), {
        expireAfter: hours(6),
      })
      .to(JOINED_TOPIC, { value: avro(AnnotatedChunkBytes) })
  })
}
