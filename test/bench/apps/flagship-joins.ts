/**
 * The flagship's join, three ways. All read chunks and annotations from two topics and write pairs:
 * with the chunk's bytes, which the state knows by reference; with the first bytes of the chunk, which
 * stand beside the reference in the state; and with bytes that the state holds, too, for comparison.
 */
import {
  annotatedBytes,
  annotatedReference,
  asTheyAre,
  chunkAtHead,
  headOf,
  shortPair,
  type AnnotatedBytes,
} from './flagship-formats.ts'
import type { ByteStream } from './byte-sources.ts'

/** What each of them joins. */
export interface FlagshipSides {
  readonly raw: ByteStream
  readonly annotations: ByteStream
  readonly out: string
  /** How long a side waits for the other, in milliseconds of the records' time. */
  readonly expireAfter: number
}

/** State by reference, whole chunks in the output. */
export function joinWithBytes({ raw, annotations, out, expireAfter }: FlagshipSides): void {
  const chunks = raw.byReference()
  chunks
    .joinOnce('annotated', annotations, (chunk, annotation) => ({ chunk, annotation }), {
      expireAfter,
      value: annotatedReference,
    })
    .dereference({
      from: chunks,
      select: ({ chunk }) => chunk,
      replace: ({ annotation }, chunk): AnnotatedBytes => ({ chunk: there(chunk), annotation }),
    })
    .to(out, { value: annotatedBytes })
}

/** State by reference, with the first bytes beside it: they are read while the chunk is at hand. */
export function joinAtHead({ raw, annotations, out, expireAfter }: FlagshipSides): void {
  const chunks = raw.byReference()
  chunks
    .dereference({
      from: chunks,
      select: (reference) => reference,
      replace: (reference, chunk) => ({ reference, head: headOf(there(chunk)) }),
      value: chunkAtHead,
    })
    .joinOnce('annotated', annotations, shortPair, { expireAfter, value: asTheyAre })
    .to(out)
}

/** Whole chunks in the state and in the output. */
export function joinWhole({ raw, annotations, out, expireAfter }: FlagshipSides): void {
  raw
    .joinOnce('annotated', annotations, (chunk, annotation) => ({ chunk, annotation }), {
      expireAfter,
    })
    .to(out, { value: annotatedBytes })
}

function there(chunk: Buffer | null): Buffer {
  if (chunk === null) throw new TypeError('a reference without a chunk')
  return chunk
}
