/**
 * The second half of the flagship as an app of its own: joins what another app has put into
 * videos.enriched with the raw chunks, from the two topics, and brings the bytes back.
 *
 *   millrace run examples/4-join-later.pipeline.ts --embedded data --create-topics
 */
import { Annotation, Chunk, ChunkKey, avro, hours, referenceSchema, topology } from 'millrace'

const videoOf = (key: ChunkKey) => key.videoId

const Pair = {
  type: 'record',
  name: 'Pair',
  fields: [
    { name: 'chunk', type: referenceSchema },
    { name: 'annotation', type: Annotation },
  ],
} as const

const ChunkWithShots = {
  type: 'record',
  name: 'ChunkWithShots',
  fields: [
    { name: 'chunk', type: ['null', Chunk] },
    { name: 'annotation', type: Annotation },
  ],
} as const

export default topology('join-later', ({ stream }) => {
  const key = avro(ChunkKey)
  const raw = stream('videos.raw', { key, value: avro(Chunk), partitionBy: videoOf }).byReference()
  const shots = stream('videos.enriched', { key, value: avro(Annotation), partitionBy: videoOf })
  raw
    .joinOnce('join', shots, (chunk, annotation) => ({ chunk, annotation }), {
      expireAfter: hours(6),
      value: avro(Pair),
    })
    .dereference({
      from: raw,
      select: ({ chunk }) => chunk,
      replace: ({ annotation }, chunk) => ({ chunk, annotation }),
    })
    .to('videos.with-shots', { value: avro(ChunkWithShots) })
})
