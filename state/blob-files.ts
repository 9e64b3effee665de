/**
 * Large values as files, one each:
 *
 *   <database>/blobs/<number>.blob     "MRB1", length of the key (4 bytes), key, value
 *
 * The rule: a file is written whole before anything refers to it, is never changed after, and its
 * number never comes again while something might refer to it. So there is nothing to repair: after a
 * crash a file either has a pointer, and is whole, or it has none, and goes. The key is in it so that
 * the pointer can be looked up from the file; no list of files has to be kept.
 *
 * Rejected: segments of many values, which have to be copied to get rid of one
 * (docs/decisions/blob-files.md).
 */
import { closeSync, openSync, readSync } from 'node:fs'
import { open, readdir, unlink, type FileHandle } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32c } from '../model/crc32c.ts'
import { asError } from '../model/errors.ts'
import { makeFolder } from '../model/make-folder.ts'
import type { BlobPointer } from './blob-pointer.ts'
import { causeCode, stateCorrupt } from './level-errors.ts'

const MAGIC = Buffer.from('MRB1')
const KEY_LENGTH_AT = 4
const KEY_AT = 8
/** Read at once of a file whose key is asked for; longer keys take a second read. */
const HEAD_BYTES = 512
const SUFFIX = '.blob'
const NUMBER = /^(\d+)\.blob$/
const NUMBER_DIGITS = 12

/** The files of one database. */
export class BlobFiles {
  readonly #folder: string
  #next: number
  #count: number
  #folderExists: boolean

  constructor(folder: string, found: readonly number[] | undefined) {
    this.#folder = folder
    this.#next = (found?.at(-1) ?? 0) + 1
    this.#count = found?.length ?? 0
    this.#folderExists = found !== undefined
  }

  /** Whether there is no file at all, so that nothing points at one. */
  get isEmpty(): boolean {
    return this.#count === 0
  }

  /** Writes a value into a new file. Whatever it rejects with, no file is left if it can be helped. */
  async write(key: Buffer, value: Buffer): Promise<BlobPointer> {
    if (!this.#folderExists) await makeFolder(this.#folder)
    this.#folderExists = true
    const file = this.#next++
    try {
      await using handle = await open(this.#path(file), 'wx')
      this.#count += 1
      await writeFully(handle, [headOf(key), value])
    } catch (error) {
      // A disk that is full can still remove; where it cannot, the next open of the database tries again.
      await this.remove(file).catch(() => undefined)
      throw error
    }
    return { file, offset: KEY_AT + key.length, length: value.length, crc: crc32c(value) }
  }

  /** The value at `pointer`, at once. Throws MILLRACE_STATE_CORRUPT where it is not there as it was written. */
  readNow(pointer: BlobPointer): Buffer {
    const value = Buffer.allocUnsafe(pointer.length)
    const file = this.#openNow(pointer)
    try {
      let filled = 0
      while (filled < pointer.length) {
        const at = pointer.offset + filled
        const read = readSync(file, value, filled, pointer.length - filled, at)
        if (read === 0) break
        filled += read
      }
      return this.#checked(pointer, value, filled)
    } finally {
      closeSync(file)
    }
  }

  /** The same without holding up the process. */
  async read(pointer: BlobPointer): Promise<Buffer> {
    const value = Buffer.allocUnsafe(pointer.length)
    await using file = await open(this.#path(pointer.file)).catch((error: unknown) => {
      throw this.#notOpened(pointer, error)
    })
    return this.#checked(pointer, value, await readFully(file, value, pointer.offset))
  }

  /** The key whose value a file holds; undefined where the file is gone, or was never written to its end. */
  async keyOf(file: number): Promise<Buffer | undefined> {
    try {
      await using handle = await open(this.#path(file))
      return await readKey(handle)
    } catch (error) {
      if (causeCode(error) === 'ENOENT') return undefined
      throw error
    }
  }

  /** Removes a file; one that is gone already is no error. */
  async remove(file: number): Promise<void> {
    try {
      await unlink(this.#path(file))
      this.#count -= 1
    } catch (error) {
      if (causeCode(error) !== 'ENOENT') throw error
    }
  }

  #path(file: number): string {
    return join(this.#folder, `${String(file).padStart(NUMBER_DIGITS, '0')}${SUFFIX}`)
  }

  #openNow(pointer: BlobPointer): number {
    try {
      return openSync(this.#path(pointer.file), 'r')
    } catch (error) {
      throw this.#notOpened(pointer, error)
    }
  }

  #notOpened(pointer: BlobPointer, error: unknown): Error {
    if (causeCode(error) !== 'ENOENT') return asError(error)
    return stateCorrupt(this.#path(pointer.file), 'the file of a value is missing')
  }

  #checked(pointer: BlobPointer, value: Buffer, filled: number): Buffer {
    if (filled === pointer.length && crc32c(value) === pointer.crc) return value
    const what =
      filled < pointer.length
        ? `${filled} of ${pointer.length} bytes are there`
        : 'the checksum is not that of the value'
    throw stateCorrupt(this.#path(pointer.file), what)
  }
}

/** The numbers of the files in `folder`, ascending; undefined where there is no such folder. */
export async function findBlobFiles(folder: string): Promise<readonly number[] | undefined> {
  let names: readonly string[]
  try {
    names = await readdir(folder)
  } catch (error) {
    if (causeCode(error) === 'ENOENT') return undefined
    throw error
  }
  const numbers = names.flatMap((name) => {
    const digits = NUMBER.exec(name)?.[1]
    return digits === undefined ? [] : [Number(digits)]
  })
  return numbers.toSorted((a, b) => a - b)
}

function headOf(key: Buffer): Buffer {
  const head = Buffer.allocUnsafe(KEY_AT + key.length)
  MAGIC.copy(head)
  head.writeUInt32BE(key.length, KEY_LENGTH_AT)
  key.copy(head, KEY_AT)
  return head
}

/** The key in a file; undefined where it does not hold a whole one. */
async function readKey(file: FileHandle): Promise<Buffer | undefined> {
  const head = Buffer.allocUnsafe(HEAD_BYTES)
  const filled = await readFully(file, head, 0)
  if (filled < KEY_AT || !head.subarray(0, KEY_LENGTH_AT).equals(MAGIC)) return undefined
  const end = KEY_AT + head.readUInt32BE(KEY_LENGTH_AT)
  if (end <= filled) return head.subarray(KEY_AT, end)
  if (end > (await file.stat()).size) return undefined
  const key = Buffer.allocUnsafe(end - KEY_AT)
  return (await readFully(file, key, KEY_AT)) === key.length ? key : undefined
}

async function writeFully(file: FileHandle, parts: readonly Buffer[]): Promise<void> {
  // One call for both where the kernel takes all, as it does unless the disk is full.
  const bytes = parts.reduce((sum, part) => sum + part.length, 0)
  const { bytesWritten } = await file.writev(parts, 0)
  let written = bytesWritten
  if (written === bytes) return
  const whole = Buffer.concat(parts)
  while (written < bytes) {
    const step = await file.write(whole, written, bytes - written, written)
    written += step.bytesWritten
  }
}

/** Fills `target` from `position` on; gives the bytes that were there. */
async function readFully(file: FileHandle, target: Buffer, position: number): Promise<number> {
  let filled = 0
  while (filled < target.length) {
    const { bytesRead } = await file.read(target, filled, target.length - filled, position + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return filled
}
