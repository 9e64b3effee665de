/**
 * Cuts what arrives on a connection into responses: a length, a correlation id, a body. The body is
 * read straight into the buffer that its requester gives, so that a fetch of 10 MB is not copied and
 * its buffer can be used again.
 */

/** Length and correlation id. */
const HEADER_BYTES = 8
const CORRELATION_BYTES = 4
/** How an alert of TLS begins: what a port of TLS answers to anything else. */
const TLS_ALERT = 0x15
const TLS_MAJOR = 0x03

/** Who asked. */
export interface FrameOwner {
  /** A buffer of at least `sizeBytes` for the body of a response. Throws where there can be no such response. */
  bodyBuffer(correlationId: number, sizeBytes: number): Buffer
  /** A response is complete. */
  complete(correlationId: number, body: Buffer): void
}

/** The cutter of one connection. */
export class ResponseFrames {
  readonly #owner: FrameOwner
  readonly #header = Buffer.alloc(HEADER_BYTES)
  #correlationId = 0
  /** What is being filled, from where on, and the rest of it that was last handed out. */
  #target: Buffer = this.#header
  #filled = 0
  #rest: Buffer = this.#header

  constructor(owner: FrameOwner) {
    this.#owner = owner
  }

  /** Whether what stands where a response should begin is a message of TLS. */
  get beginsAsTls(): boolean {
    const [type, major] = this.#header
    const isHeader = this.#target === this.#header && this.#filled >= 2
    return isHeader && type === TLS_ALERT && major === TLS_MAJOR
  }

  /** Where the next bytes of the connection belong. */
  buffer(): Buffer {
    this.#rest = this.#filled === 0 ? this.#target : this.#target.subarray(this.#filled)
    return this.#rest
  }

  /** So many bytes were read into `buffer`, which need not be the one handed out last. */
  arrived(sizeBytes: number, buffer: Uint8Array): void {
    if (buffer === this.#rest) this.#advance(sizeBytes)
    else this.piece(Buffer.from(buffer.buffer, buffer.byteOffset, sizeBytes))
  }

  /** Bytes that lie elsewhere; they are copied. */
  piece(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      const taken = bytes.copy(this.#target, this.#filled, at)
      at += taken
      this.#advance(taken)
    }
  }

  #advance(sizeBytes: number): void {
    this.#filled += sizeBytes
    if (this.#filled < this.#target.length) return
    if (this.#target !== this.#header) {
      const body = this.#target
      this.#begin(this.#header)
      this.#owner.complete(this.#correlationId, body)
      return
    }
    const sizeOfBody = this.#header.readInt32BE(0) - CORRELATION_BYTES
    this.#correlationId = this.#header.readInt32BE(CORRELATION_BYTES)
    const buffer = this.#owner.bodyBuffer(this.#correlationId, sizeOfBody)
    if (sizeOfBody > 0) {
      this.#begin(buffer.subarray(0, sizeOfBody))
      return
    }
    this.#begin(this.#header)
    this.#owner.complete(this.#correlationId, buffer.subarray(0, 0))
  }

  #begin(target: Buffer): void {
    this.#target = target
    this.#filled = 0
    // What was handed out before belongs to another target.
    this.#rest = Buffer.alloc(0)
  }
}
