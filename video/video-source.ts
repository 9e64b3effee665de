/** Bytes of known length that can be read anywhere: a file, or a stream that is put together from one. */
export interface VideoSource {
  readonly sizeBytes: number
  /** For messages: the path of the file. */
  readonly place: string
  /** Fills `target` with the bytes from `offset` on. Rejects with MILLRACE_FILE_CHANGED where there are not that many. */
  read(offset: number, target: Buffer): Promise<void>
}

/** `length` bytes from `offset` on, in a buffer of their own. */
export async function readBytes(
  source: VideoSource,
  offset: number,
  length: number,
): Promise<Buffer> {
  const target = Buffer.allocUnsafeSlow(length)
  await source.read(offset, target)
  return target
}
