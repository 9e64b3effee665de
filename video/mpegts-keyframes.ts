/**
 * Whether decoding can begin with a frame, told by how its bytes begin: with the parameters that a
 * decoder needs. For streams whose packets do not say it (the random access flag is optional).
 */

/** Whether the frame that begins with `bytes` carries what a decoder needs to start. */
export function isDecodable(codec: string, bytes: Buffer): boolean {
  const starts = START_UNITS.get(codec)
  if (starts === undefined) return false
  for (let at = bytes.indexOf(START_CODE); at >= 0; at = bytes.indexOf(START_CODE, at + 3)) {
    const unit = bytes[at + 3]
    if (unit !== undefined && starts(unit)) return true
  }
  return false
}

const START_CODE = Buffer.from([0, 0, 1])

/** By codec: whether the unit that a byte begins is one of these. */
const START_UNITS: ReadonlyMap<string, (unit: number) => boolean> = new Map([
  // Sequence header.
  ['mp1v', (unit: number) => unit === 0xb3],
  ['mp2v', (unit: number) => unit === 0xb3],
  // Visual object sequence, or a video object layer.
  ['mp4v', (unit: number) => unit === 0xb0 || (unit >= 0x20 && unit <= 0x2f)],
  // Sequence parameter set, or an IDR slice.
  ['avc1', (unit: number) => [5, 7].includes(unit & 0x1f)],
  // Video or sequence parameter set, or a slice of a random access picture.
  ['hvc1', (unit: number) => [16, 17, 18, 19, 20, 21, 32, 33].includes((unit >> 1) & 0x3f)],
])
