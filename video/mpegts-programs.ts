/**
 * Which packets of a transport stream are the picture. The table of programs (PAT) names a table for
 * each program (PMT), and that names its streams. Of several pictures the first is taken whose table
 * comes first: that is the one ffmpeg calls the first, and annotators decode with ffmpeg.
 */
import type { TransportPacket } from './mpegts-packets.ts'
import { sectionBody, SectionReader } from './mpegts-sections.ts'

/** A stream of pictures. */
export interface PictureStream {
  readonly pid: number
  /** Four characters as an mp4 would have them, e.g. `avc1`. */
  readonly codec: string
}

/** Reads the tables until the picture is found. */
export class ProgramReader {
  /** The first picture; undefined until its table came. */
  picture: PictureStream | undefined
  /** How many programs have told their streams. */
  programs = 0
  readonly #tables = new Map<number, SectionReader>([[PROGRAMS_PID, new SectionReader()]])

  /** Takes the next packet of any PID. */
  push(packet: TransportPacket): void {
    const reader = this.#tables.get(packet.pid)
    if (reader === undefined || packet.payloadBytes === 0) return
    for (const section of reader.push(packet)) {
      if (section[0] === PROGRAMS_TABLE && packet.pid === PROGRAMS_PID) this.#readPrograms(section)
      if (section[0] === STREAMS_TABLE) this.#readStreams(section)
    }
  }

  #readPrograms(section: Buffer): void {
    const body = sectionBody(section)
    for (let at = 0; at + 4 <= body.length; at += 4) {
      // Program 0 is the network's own table.
      if (body.readUInt16BE(at) === 0) continue
      const pid = body.readUInt16BE(at + 2) & 0x1fff
      if (!this.#tables.has(pid)) this.#tables.set(pid, new SectionReader())
    }
  }

  #readStreams(section: Buffer): void {
    const body = sectionBody(section)
    if (body.length < 4) return
    this.programs += 1
    let at = 4 + (body.readUInt16BE(2) & 0xfff)
    while (at + 5 <= body.length && this.picture === undefined) {
      const descriptorsEnd = at + 5 + (body.readUInt16BE(at + 3) & 0xfff)
      const codec =
        CODECS.get(body[at] ?? 0) ?? registeredCodec(body.subarray(at + 5, descriptorsEnd))
      if (codec !== undefined) {
        this.picture = { pid: body.readUInt16BE(at + 1) & 0x1fff, codec }
      }
      at = descriptorsEnd
    }
  }
}

const PROGRAMS_PID = 0
const PROGRAMS_TABLE = 0
const STREAMS_TABLE = 2

/** Stream types with a picture (ISO/IEC 13818-1, table 2-34, and those that industry added). */
const CODECS: ReadonlyMap<number, string> = new Map([
  [0x01, 'mp1v'],
  [0x02, 'mp2v'],
  [0x10, 'mp4v'],
  [0x1b, 'avc1'],
  [0x21, 'mjp2'],
  [0x24, 'hvc1'],
  [0x33, 'vvc1'],
  [0x42, 'cavs'],
  [0xd1, 'drac'],
  [0xea, 'vc-1'],
])

/** Names by which a registration descriptor marks a picture. */
const REGISTERED: ReadonlyMap<string, string> = new Map([
  ['HEVC', 'hvc1'],
  ['AV01', 'av01'],
  ['VC-1', 'vc-1'],
  ['drac', 'drac'],
])
const REGISTRATION = 0x05

function registeredCodec(descriptors: Buffer): string | undefined {
  for (let at = 0; at + 2 <= descriptors.length; at += 2 + (descriptors[at + 1] ?? 0)) {
    if (descriptors[at] !== REGISTRATION) continue
    const codec = REGISTERED.get(descriptors.toString('latin1', at + 2, at + 6))
    if (codec !== undefined) return codec
  }
  return undefined
}
