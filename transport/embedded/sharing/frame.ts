/**
 * What goes over the socket of a shared log: frames of a fixed head, a few words in JSON, and bytes.
 *
 *     0 uint16 mark          4 uint32 id of the request     12 uint32 bytes of the payload
 *     2 uint8  version       8 uint32 bytes of the words    16        words, then payload
 *     3 uint8  kind
 *
 * Records are in the payload as they lie in segments, and never pass through JSON. The words cost a
 * few microseconds a frame, and a frame that matters for throughput carries a MiB; in return a new
 * question needs no codec, and a frame can be read by eye. Every length is checked before anything
 * is kept for it.
 */
import { asError } from '../../../model/errors.ts'
import type { TransportError } from '../../errors.ts'
import type { BufferPool } from '../../buffer-pool.ts'
import { protocolBroken } from './sharing-errors.ts'

/** The version of frames and of what is said in them. Both sides must be of one version. */
export const PROTOCOL_VERSION = 1

const HEAD_BYTES = 16
const MARK = 0x4d52
/** Bytes of the words of one frame at most: the offsets of 10,000 partitions with their metadata. */
const WORDS_BYTES = 64 * 1024 * 1024
/** Payloads of this size or more lie in pooled buffers, and are read from the socket without a copy. */
const POOLED_BYTES = 64 * 1024
/** Bytes that are read at once where no payload is awaited. */
const SCRATCH_BYTES = 64 * 1024

/** What a frame is: a client says hello and asks; a holder welcomes, answers, refuses and tells news. */
export type FrameKind = 'hello' | 'welcome' | 'request' | 'answer' | 'refusal' | 'news'

const KINDS: readonly FrameKind[] = ['hello', 'welcome', 'request', 'answer', 'refusal', 'news']

/** A frame that was received. */
export interface Frame {
  readonly kind: FrameKind
  readonly id: number
  readonly words: unknown
  readonly payload: Buffer
  /** Gives the payload's buffer back; call it at most once, when nothing refers to it any more. */
  readonly release: () => void
}

/** A frame to send. */
export interface OutgoingFrame {
  readonly kind: FrameKind
  readonly id: number
  readonly words: unknown
  /** Sent one after the other from where they lie. */
  readonly payload?: readonly Buffer[]
}

/** All of a frame but its payload. */
export function frameHead({ kind, id, words, payload = [] }: OutgoingFrame): Buffer {
  const text = Buffer.from(JSON.stringify(words), 'utf8')
  const head = Buffer.allocUnsafe(HEAD_BYTES + text.length)
  head.writeUInt16BE(MARK, 0)
  head[2] = PROTOCOL_VERSION
  head[3] = KINDS.indexOf(kind)
  head.writeUInt32BE(id, 4)
  head.writeUInt32BE(text.length, 8)
  head.writeUInt32BE(
    payload.reduce((sum, { length }) => sum + length, 0),
    12,
  )
  text.copy(head, HEAD_BYTES)
  return head
}

/** What is filled now. */
type Part = 'head' | 'words' | 'payload'

/** Puts frames together from what a socket gives. */
export class FrameReader {
  readonly #buffers: BufferPool
  readonly #payloadBytes: number
  readonly #onFrame: (frame: Frame) => void
  readonly #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES)
  readonly #head = Buffer.allocUnsafeSlow(HEAD_BYTES)
  #part: Part = 'head'
  #target: Buffer = this.#head
  #filled = 0
  #words: unknown
  #release: () => void = nothing

  constructor(
    { buffers, payloadBytes }: { readonly buffers: BufferPool; readonly payloadBytes: number },
    onFrame: (frame: Frame) => void,
  ) {
    this.#buffers = buffers
    this.#payloadBytes = payloadBytes
    this.#onFrame = onFrame
  }

  /** Where the next bytes of the socket are to go: the payload itself where one is awaited. */
  get into(): Buffer {
    const isLarge = this.#target.length - this.#filled >= POOLED_BYTES
    return this.#part === 'payload' && isLarge ? this.#target.subarray(this.#filled) : this.#scratch
  }

  /** Takes the first `bytes` of what `into` last was. Throws MILLRACE_LOG_PROTOCOL. */
  filled(into: Uint8Array, bytes: number): void {
    if (into === this.#scratch) this.take(this.#scratch.subarray(0, bytes))
    else this.#advance(bytes)
  }

  /** Takes bytes of the socket. Throws MILLRACE_LOG_PROTOCOL. */
  take(chunk: Buffer): void {
    for (let at = 0; at < chunk.length;) {
      const bytes = Math.min(chunk.length - at, this.#target.length - this.#filled)
      chunk.copy(this.#target, this.#filled, at, at + bytes)
      at += bytes
      this.#advance(bytes)
    }
  }

  #advance(bytes: number): void {
    this.#filled += bytes
    while (this.#filled === this.#target.length && this.#next());
  }

  /** Goes on to the next part. False where that needs bytes in any case. */
  #next(): boolean {
    this.#filled = 0
    switch (this.#part) {
      case 'head':
        checkHead(this.#head, this.#payloadBytes)
        this.#part = 'words'
        this.#target = Buffer.allocUnsafe(this.#head.readUInt32BE(8))
        return true
      case 'words':
        this.#words = parse(this.#target)
        this.#part = 'payload'
        this.#target = this.#room(this.#head.readUInt32BE(12))
        return true
      case 'payload':
        this.#give()
        return false
      default:
        return this.#part satisfies never
    }
  }

  #room(bytes: number): Buffer {
    this.#release = nothing
    if (bytes < POOLED_BYTES) return Buffer.allocUnsafe(bytes)
    const pooled = this.#buffers.take(bytes)
    this.#release = () => this.#buffers.give(pooled)
    return pooled.length === bytes ? pooled : pooled.subarray(0, bytes)
  }

  #give(): void {
    const kind = KINDS[this.#head[3] ?? 0] ?? 'news'
    const frame = { kind, id: this.#head.readUInt32BE(4), words: this.#words }
    const [payload, release] = [this.#target, this.#release]
    this.#part = 'head'
    this.#target = this.#head
    this.#onFrame({ ...frame, payload, release })
  }
}

function checkHead(head: Buffer, payloadBytes: number): void {
  if (head.readUInt16BE(0) !== MARK) throw protocolBroken('what came is no frame')
  if (head[2] !== PROTOCOL_VERSION) {
    throw protocolBroken(
      `the other side speaks version ${head[2]} of the protocol, this one ${PROTOCOL_VERSION}`,
    )
  }
  if ((head[3] ?? 0) >= KINDS.length) throw protocolBroken(`a frame of the unknown kind ${head[3]}`)
  for (const [at, most] of [
    [8, WORDS_BYTES],
    [12, payloadBytes],
  ] as const) {
    const bytes = head.readUInt32BE(at)
    if (bytes > most)
      throw protocolBroken(`a frame of ${bytes} bytes, and at most ${most} are taken`)
  }
}

function parse(text: Buffer): unknown {
  try {
    return JSON.parse(text.toString('utf8'))
  } catch (error) {
    throw brokenWords(asError(error))
  }
}

function brokenWords(error: Error): TransportError {
  return protocolBroken(`a frame whose words are no JSON (${error.message})`)
}

function nothing(): void {
  // Small payloads have no buffer to give back.
}
