/**
 * What the flagship of the comparison reads and writes, byte for byte as the application it is
 * compared with does:
 *
 *   whole: 'F', int32 length of the annotation, annotation, chunk
 *   head:  'R', int32 length of the annotation, annotation, int64 size of the chunk, its first 64 bytes
 */
import { bytes, referenceSchema, avro, type OpenSerde, type Reference, type Serde } from 'millrace'

/** Bytes of a chunk that the short form carries. */
const HEAD_BYTES = 64

/** What a join knows of a chunk whose bytes stay in the log. */
export interface ChunkAtHead {
  readonly reference: Reference<Buffer>
  readonly head: Buffer
}

/** A chunk by reference, with its annotation. */
export interface AnnotatedReference {
  readonly chunk: Reference<Buffer>
  readonly annotation: Buffer
}

/** A chunk with its annotation. */
export interface AnnotatedBytes {
  readonly chunk: Buffer
  readonly annotation: Buffer
}

/** How a chunk of which the first bytes are kept lies in a store. */
export const chunkAtHead: Serde<ChunkAtHead> = avro({
  type: 'record',
  name: 'ChunkAtHead',
  fields: [
    { name: 'reference', type: referenceSchema },
    { name: 'head', type: 'bytes' },
  ],
} as const)

/** How a pair waits for the chunk's bytes. */
export const annotatedReference: Serde<AnnotatedReference> = avro({
  type: 'record',
  name: 'AnnotatedReference',
  fields: [
    { name: 'chunk', type: referenceSchema },
    { name: 'annotation', type: 'bytes' },
  ],
} as const)

/** The long form. Only ever written. */
export const annotatedBytes: Serde<AnnotatedBytes> = {
  name: 'annotated bytes',
  open: () => Promise.resolve(new OpenAnnotatedBytes()),
}

/** A copy of a chunk's first bytes. A view would keep all of it in memory. */
export function headOf(chunk: Buffer): Buffer {
  return Buffer.copyBytesFrom(chunk, 0, HEAD_BYTES)
}

/** The short form. */
export function shortPair({ reference, head }: ChunkAtHead, annotation: Buffer): Buffer {
  const out = Buffer.allocUnsafe(5 + annotation.length + 8 + HEAD_BYTES)
  const end = writeAnnotation(out, 'R', annotation)
  out.writeBigInt64BE(BigInt(reference.sizeBytes), end)
  head.copy(out, end + 8)
  return out
}

/** The serde of values that are bytes already. */
export const asTheyAre = bytes

class OpenAnnotatedBytes implements OpenSerde<AnnotatedBytes> {
  readonly prefix = Buffer.alloc(0)

  serialize(
    { chunk, annotation }: AnnotatedBytes,
    room?: Parameters<OpenSerde<AnnotatedBytes>['serialize']>[1],
  ): Buffer {
    const size = 5 + annotation.length + chunk.length
    const out = (room?.take(size) ?? Buffer.allocUnsafeSlow(size)).subarray(0, size)
    chunk.copy(out, writeAnnotation(out, 'F', annotation))
    return out
  }

  deserialize(): AnnotatedBytes {
    throw new TypeError('joined chunks are written here, never read')
  }
}

function writeAnnotation(out: Buffer, form: 'F' | 'R', annotation: Buffer): number {
  out.write(form, 0, 'latin1')
  out.writeInt32BE(annotation.length, 1)
  return 5 + annotation.copy(out, 5)
}
