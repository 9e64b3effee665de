/** The tables of a transport stream: sections that lie across packets, each with a checksum. */
import type { TransportPacket } from './mpegts-packets.ts'

/** A section has at most so many bytes (ISO/IEC 13818-1, section 2.4.4). */
const MAX_SECTION_BYTES = 1024
/** Table id, length, and the fields that every table here has: up to the last section's number. */
const HEAD_BYTES = 8
const CHECKSUM_BYTES = 4

/** Puts together the sections of one PID. */
export class SectionReader {
  #collected: Buffer | undefined

  /** Takes the next packet of the PID; gives the sections that it completes, those with a wrong checksum left out. */
  push({ payload, unitStart }: TransportPacket): readonly Buffer[] {
    if (!unitStart) return this.#append(payload)
    // The first byte says where the new section begins; what is before it ends the old one.
    const start = 1 + (payload[0] ?? 0)
    const sections = this.#append(payload.subarray(1, start))
    this.#collected = Buffer.alloc(0)
    return [...sections, ...this.#append(payload.subarray(start))]
  }

  #append(bytes: Buffer): readonly Buffer[] {
    if (this.#collected === undefined) return []
    let data = Buffer.concat([this.#collected, bytes])
    const sections: Buffer[] = []
    while (data.length >= 3 && data[0] !== 0xff) {
      const length = 3 + (data.readUInt16BE(1) & 0xfff)
      if (length > MAX_SECTION_BYTES) data = Buffer.alloc(0)
      if (length > data.length) break
      const section = data.subarray(0, length)
      if (length >= HEAD_BYTES + CHECKSUM_BYTES && crc32Mpeg(section) === 0) sections.push(section)
      data = data.subarray(length)
    }
    this.#collected = data[0] === 0xff ? undefined : data
    return sections
  }
}

/** The fields of a section between its head and its checksum. */
export function sectionBody(section: Buffer): Buffer {
  return section.subarray(HEAD_BYTES, section.length - CHECKSUM_BYTES)
}

/** CRC-32 as MPEG has it (ISO/IEC 13818-1, annex A); over a section with its checksum it is 0. */
export function crc32Mpeg(bytes: Buffer): number {
  let crc = 0xffff_ffff
  for (const byte of bytes) {
    crc ^= byte << 24
    for (let bit = 0; bit < 8; bit += 1) crc = crc < 0 ? (crc << 1) ^ 0x04c1_1db7 : crc << 1
  }
  return crc >>> 0
}
