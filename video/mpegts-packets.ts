/**
 * The packets of an MPEG transport stream (ISO/IEC 13818-1, section 2.4.3): 188 bytes each, of which
 * the first is always 0x47; discs and recorders put four bytes with a time in front of each (M2TS).
 * Bytes come in parts of any size. Where a packet does not begin with 0x47 the stream is damaged, and
 * goes on where three packets in a row do: a single 0x47 is in every second packet by chance.
 */

/** The distance from one packet to the next. */
export type PacketStride = 188 | 192

const PACKET_BYTES = 188

/** One packet, valid while it is looked at. Its fields are read from the bytes only when they are asked for. */
export class TransportPacket {
  /** Of its first byte in the stream, the time in front included. */
  readonly offset: number
  /** Where it ends in the stream. */
  readonly end: number
  readonly #data: Buffer
  /** Of the byte 0x47. */
  readonly #start: number

  /** The packet that ends at `dataEnd` of the data, which is `end` of the stream. */
  constructor(data: Buffer, dataEnd: number, { offset, end }: { offset: number; end: number }) {
    this.#data = data
    this.#start = dataEnd - PACKET_BYTES
    this.offset = offset
    this.end = end
  }

  get pid(): number {
    return ((this.#byte(1) & 0x1f) << 8) | this.#byte(2)
  }

  /** Whether the sender says that it could not repair it. */
  get broken(): boolean {
    return (this.#byte(1) & 0x80) !== 0
  }

  /** Whether a table or a frame begins in it. */
  get unitStart(): boolean {
    return (this.#byte(1) & 0x40) !== 0
  }

  /** Whether its payload is encrypted. */
  get scrambled(): boolean {
    return (this.#byte(3) & 0xc0) !== 0
  }

  /** Whether the encoder says that decoding may begin here. */
  get randomAccess(): boolean {
    return this.#adaptationBytes > 1 && (this.#byte(5) & 0x40) !== 0
  }

  get payloadBytes(): number {
    if ((this.#byte(3) & 0x10) === 0) return 0
    return Math.max(0, PACKET_BYTES - 4 - this.#adaptationBytes)
  }

  /** May be empty. */
  get payload(): Buffer {
    const end = this.#start + PACKET_BYTES
    return this.#data.subarray(end - this.payloadBytes, end)
  }

  /** Bytes of the field in front of the payload, its length included. */
  get #adaptationBytes(): number {
    return (this.#byte(3) & 0x20) === 0 ? 0 : 1 + this.#byte(4)
  }

  #byte(at: number): number {
    return this.#data[this.#start + at] ?? 0
  }
}

const SYNC = 0x47

/** So many packets in a row begin with 0x47 where a damaged stream goes on. */
const RESYNC_PACKETS = 3

/** The stride of a stream that begins with `head`; undefined where it does not begin with packets. */
export function packetStride(head: Buffer): PacketStride | undefined {
  for (const stride of [188, 192] as const) {
    const packets = Math.min(8, Math.floor(head.length / stride))
    let synced = packets >= 2
    for (let i = 0; i < packets; i += 1) {
      synced &&= head[i * stride + stride - PACKET_BYTES] === SYNC
    }
    if (synced) return stride
  }
  return undefined
}

/** Cuts a stream into its packets. */
export class PacketReader {
  readonly #stride: PacketStride
  readonly #onPacket: (packet: TransportPacket) => void
  /** Bytes that are no whole packet yet, and where they begin. */
  #rest: Buffer = Buffer.alloc(0)
  #offset = 0

  constructor(stride: PacketStride, onPacket: (packet: TransportPacket) => void) {
    this.#stride = stride
    this.#onPacket = onPacket
  }

  /** How many bytes were taken. */
  get position(): number {
    return this.#offset + this.#rest.length
  }

  /** Where the next packet begins, at the earliest. */
  get nextOffset(): number {
    return this.#offset
  }

  /** Takes the next bytes of the stream. */
  push(bytes: Buffer): void {
    const data = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
    const lead = this.#stride - PACKET_BYTES
    let at = 0
    while (at + this.#stride <= data.length) {
      if (data[at + lead] !== SYNC) {
        at = this.#resync(data, at + 1)
        if (at + this.#stride * RESYNC_PACKETS > data.length) break
      }
      this.#take(data, at)
      at += this.#stride
    }
    this.#rest = Buffer.from(data.subarray(at))
    this.#offset += at
  }

  /** The next place where packets may go on; near the end of the data, where too few follow to tell, that place. */
  #resync(data: Buffer, from: number): number {
    const lead = this.#stride - PACKET_BYTES
    const last = data.length - this.#stride * RESYNC_PACKETS
    for (let at = from; at <= last; at += 1) {
      let synced = true
      for (let i = 0; i < RESYNC_PACKETS; i += 1) {
        synced &&= data[at + lead + i * this.#stride] === SYNC
      }
      if (synced) return at
    }
    return Math.max(from, last + 1)
  }

  #take(data: Buffer, at: number): void {
    const offset = this.#offset + at
    const place = { offset, end: offset + this.#stride }
    const packet = new TransportPacket(data, at + this.#stride, place)
    if (!packet.broken) this.#onPacket(packet)
  }
}
