/**
 * The records of the video topics, as Avro. Each name is a schema and the type of its values, so that
 * a pipeline writes `avro(Chunk)`. Times are microseconds from the first frame that is shown.
 */
import { referenceSchema } from '../processors/reference-serde.ts'
import type { AvroType } from '../serdes/avro.ts'

const namespace = 'millrace.video'

/** The key of a chunk and of everything made from it: a video, and where in its stream the chunk begins. */
export const ChunkKey = {
  type: 'record',
  name: 'ChunkKey',
  namespace,
  fields: [
    { name: 'videoId', type: 'string' },
    { name: 'offset', type: 'long' },
  ],
} as const
/** A value of the schema of the same name. */
export type ChunkKey = AvroType<typeof ChunkKey>

/** The facts of a chunk that also go where its bytes do not. */
const chunkFacts = [
  { name: 'videoId', type: 'string' },
  { name: 'offset', type: 'long', doc: 'of its first byte in the stream' },
  { name: 'index', type: 'int', doc: 'from 0' },
  { name: 'last', type: 'boolean', doc: 'whether no chunk of the video follows' },
  {
    name: 'startUs',
    type: ['null', 'long'],
    default: null,
    doc: 'when the first of its frames is shown; null where that is not known or it has none',
  },
  { name: 'endUs', type: ['null', 'long'], default: null, doc: 'when the last of its frames ends' },
  { name: 'container', type: 'string', doc: 'mp4, mov, webm, matroska, mpegts or flv' },
] as const

/** A slice of a video's bytes: the value in videos.raw. */
export const Chunk = {
  type: 'record',
  name: 'Chunk',
  namespace,
  fields: [
    ...chunkFacts,
    { name: 'crc32c', type: 'long', doc: 'CRC-32C of the bytes, unsigned' },
    { name: 'bytes', type: 'bytes' },
  ],
} as const
/** A value of the schema of the same name. */
export type Chunk = AvroType<typeof Chunk>

/** A stretch of video between two cuts. */
export const Shot = {
  type: 'record',
  name: 'Shot',
  namespace,
  fields: [
    { name: 'startUs', type: 'long', doc: 'when its first frame is shown' },
    { name: 'endUs', type: 'long', doc: 'when its last frame is shown: inclusive' },
  ],
} as const
/** A value of the schema of the same name. */
export type Shot = AvroType<typeof Shot>

/** The shots that a chunk has a part of, each with its full extent: the value in videos.enriched. */
export const Annotation = {
  type: 'record',
  name: 'Annotation',
  namespace,
  fields: [
    ...chunkFacts,
    { name: 'annotator', type: 'string', doc: 'which one answered: google, local' },
    {
      name: 'status',
      type: { type: 'enum', name: 'AnnotationStatus', symbols: ['complete', 'partial'] },
      doc: 'partial: the last shot was cut short by a limit',
    },
    { name: 'shots', type: { type: 'array', items: Shot } },
  ],
} as const
/** A value of the schema of the same name. */
export type Annotation = AvroType<typeof Annotation>

/** A chunk, by reference, with its annotation; null where none came in time: the value in videos.joined. */
export const AnnotatedChunk = {
  type: 'record',
  name: 'AnnotatedChunk',
  namespace,
  fields: [
    { name: 'chunk', type: referenceSchema },
    { name: 'annotation', type: ['null', Annotation], default: null },
  ],
} as const
/** A value of the schema of the same name. */
export type AnnotatedChunk = AvroType<typeof AnnotatedChunk>

/** The same with the chunk itself, for small media or consumers that cannot read videos.raw. */
export const AnnotatedChunkBytes = {
  type: 'record',
  name: 'AnnotatedChunkBytes',
  namespace,
  fields: [
    { name: 'chunk', type: Chunk },
    { name: 'annotation', type: ['null', Annotation], default: null },
  ],
} as const
/** A value of the schema of the same name. */
export type AnnotatedChunkBytes = AvroType<typeof AnnotatedChunkBytes>

/** What is known of a video and how far its ingest is: the value in the table `videos`, under the video's id as text. */
export const VideoState = {
  type: 'record',
  name: 'VideoState',
  namespace,
  fields: [
    { name: 'videoId', type: 'string' },
    { name: 'name', type: 'string', doc: "the file's name" },
    {
      name: 'status',
      type: { type: 'enum', name: 'VideoStatus', symbols: ['ingesting', 'complete'] },
    },
    { name: 'container', type: 'string' },
    {
      name: 'layout',
      type: { type: 'enum', name: 'StreamLayout', symbols: ['asIs', 'moovFirst'] },
      doc: 'how the stream that was sliced lies to the file',
    },
    { name: 'sourceBytes', type: 'long' },
    { name: 'streamBytes', type: 'long' },
    { name: 'chunkBytes', type: 'int' },
    { name: 'chunks', type: 'int', doc: 'how many there are in all' },
    { name: 'durationUs', type: ['null', 'long'], default: null },
    { name: 'frames', type: ['null', 'long'], default: null },
    {
      name: 'frameRate',
      type: ['null', 'double'],
      default: null,
      doc: 'frames a second, on average',
    },
    { name: 'constantFrameRate', type: ['null', 'boolean'], default: null },
    { name: 'codec', type: ['null', 'string'], default: null, doc: 'four characters, e.g. avc1' },
    { name: 'width', type: ['null', 'int'], default: null },
    { name: 'height', type: ['null', 'int'], default: null },
    { name: 'fingerprint', type: 'string', doc: 'SHA-256 of size, first and last MiB of the file' },
    { name: 'sourceSha256', type: ['null', 'string'], default: null, doc: 'known when complete' },
    { name: 'streamSha256', type: ['null', 'string'], default: null, doc: 'known when complete' },
    { name: 'nextIndex', type: 'int', doc: 'how many chunks are in the log' },
    { name: 'nextOffset', type: 'long', doc: 'how many bytes of the stream are in the log' },
    { name: 'prefixCrc32c', type: 'long', doc: 'CRC-32C of these bytes, unsigned' },
    {
      name: 'firstLogOffset',
      type: 'long',
      doc: 'no chunk of the video lies before it in its partition',
    },
    { name: 'lastTimestamp', type: 'long', doc: 'of its newest chunk, milliseconds since 1970' },
  ],
} as const
/** A value of the schema of the same name. */
export type VideoState = AvroType<typeof VideoState>
