/** Changes boxes of a small mp4 whose header lies at the end, so that no offset moves. */
import { boxesIn, type Box } from '../../video/mp4-boxes.ts'

const CONTAINERS = new Set(['moov', 'trak', 'mdia', 'minf', 'stbl', 'edts'])

/** What becomes of a box: its new bytes, header included; null to leave it out; undefined to leave it as it is. */
export type Rewrite = (type: string, body: Buffer, track: number) => Buffer | null | undefined

export function box(type: string, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  const head = Buffer.alloc(8)
  head.writeUInt32BE(8 + body.length)
  head.write(type, 4, 'latin1')
  return Buffer.concat([head, body])
}

export function u32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4)
  values.forEach((value, i) => bytes.writeInt32BE(value | 0, i * 4))
  return bytes
}

export function u64(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 8)
  values.forEach((value, i) => bytes.writeBigInt64BE(BigInt(value), i * 8))
  return bytes
}

/** The file with its header's boxes rewritten. */
export function craft(file: Buffer, rewrite: Rewrite): Buffer {
  const whole = { bytes: file, place: 'crafted.mp4' }
  let track = -1
  const visit = (at: Box): Buffer => {
    if (at.type === 'trak') track += 1
    const rewritten = rewrite(at.type, file.subarray(at.bodyStart, at.end), track)
    if (rewritten === null) return Buffer.alloc(0)
    if (rewritten !== undefined) return rewritten
    if (!CONTAINERS.has(at.type)) return file.subarray(at.start, at.end)
    return box(at.type, ...boxesIn(whole, at.bodyStart, at.end).map(visit))
  }
  return Buffer.concat(boxesIn(whole, 0, file.length).map(visit))
}
