/** A stream that is put together from ranges of a file and from bytes in memory, readable anywhere. */
import type { VideoSource } from './video-source.ts'

/** A part of a stream: a range of the file, or bytes that are not in it. */
export type Piece =
  | { readonly kind: 'file'; readonly offset: number; readonly length: number }
  | { readonly kind: 'memory'; readonly bytes: Buffer }

/** The pieces one after the other. A stream has few of them: they are searched from the front. */
export class PiecewiseStream implements VideoSource {
  readonly sizeBytes: number
  readonly pieces: readonly Piece[]
  readonly #file: VideoSource

  constructor(file: VideoSource, pieces: readonly Piece[]) {
    this.#file = file
    this.pieces = pieces
    this.sizeBytes = pieces.reduce((sum, piece) => sum + pieceBytes(piece), 0)
  }

  get place(): string {
    return this.#file.place
  }

  async read(offset: number, target: Buffer): Promise<void> {
    if (offset + target.length > this.sizeBytes) {
      throw new RangeError(`read beyond the end of the stream of ${this.place}`)
    }
    for (const { piece, from, to, at } of partsOf(this.pieces, offset, offset + target.length)) {
      if (piece.kind === 'memory') piece.bytes.copy(target, at, from, to)
      else await this.#file.read(piece.offset + from, target.subarray(at, at + to - from))
    }
  }
}

/** A piece's share of a range of the stream: bytes `[from, to)` of the piece are bytes from `at` on of the range. */
export interface PiecePart {
  readonly piece: Piece
  readonly from: number
  readonly to: number
  readonly at: number
}

/** The parts that make up `[start, end)` of the stream, in order. */
export function* partsOf(
  pieces: readonly Piece[],
  start: number,
  end: number,
): Generator<PiecePart> {
  let pieceStart = 0
  for (const piece of pieces) {
    const pieceEnd = pieceStart + pieceBytes(piece)
    const from = Math.max(start, pieceStart)
    const to = Math.min(end, pieceEnd)
    if (from < to) yield { piece, from: from - pieceStart, to: to - pieceStart, at: from - start }
    pieceStart = pieceEnd
  }
}

function pieceBytes(piece: Piece): number {
  return piece.kind === 'file' ? piece.length : piece.bytes.length
}
