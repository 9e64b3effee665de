/**
 * The flagship: chunks of videos are annotated by Google's streaming API and joined with their
 * annotations. Bytes stay in videos.raw; what is joined carries references to them.
 *
 *   millrace ingest holiday.mp4 --embedded data
 *   millrace annotator --port 50551          (a local stand-in for Google, in another terminal)
 *   ANNOTATOR=127.0.0.1:50551 millrace run examples/3-video.pipeline.ts --embedded data --create-topics
 */
import {
  AnnotatedChunk,
  Annotation,
  Chunk,
  ChunkKey,
  annotate,
  avro,
  google,
  hours,
  topology,
} from 'millrace'

// Without ANNOTATOR the client goes to Google, with the credentials of the environment.
const endpoint = process.env['ANNOTATOR']
const annotator = google(
  endpoint === undefined ? { feature: 'shots' } : { feature: 'shots', endpoint, insecure: true },
)
const videoOf = (key: ChunkKey) => key.videoId

export default topology('video-enrichment', ({ stream }) => {
  const raw = stream('videos.raw', {
    key: avro(ChunkKey),
    value: avro(Chunk),
    partitionBy: videoOf,
  }).byReference()
  const shots = raw.enrich('annotate', annotate(annotator), { orderBy: videoOf, sessions: 3 })
  shots.to('videos.enriched', { value: avro(Annotation) })
  raw
    .joinOnce('annotated', shots, (chunk, annotation) => ({ chunk, annotation }), {
      expireAfter: hours(6),
    })
    .to('videos.joined', { value: avro(AnnotatedChunk) })
})
