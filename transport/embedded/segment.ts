/**
 * One segment file: record batches one after the other, and where some of them begin. A place is
 * kept for every batch of PLACE_BYTES or more, for the one after it, and else for one batch in
 * PLACE_BYTES. So what lies between two places is one big batch, exactly, or small ones of less than
 * 2 x PLACE_BYTES in all: any record is one read away, and a big one is read without a byte too many.
 */
import { open, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { makeFolder } from '../../model/make-folder.ts'
import { isMissing } from '../../model/missing-file.ts'
import type { FilePool } from './file-pool.ts'

/** See above. */
export const PLACE_BYTES = 64 * 1024

/** Whether the place of a batch at the byte `start` is kept. */
export function needsPlace(start: number, sizeBytes: number, lastPlace: number): boolean {
  return start > 0 && (sizeBytes >= PLACE_BYTES || start - lastPlace >= PLACE_BYTES)
}

/** A stretch of a segment that is read at once. */
export interface Region {
  /** The base offset of the batch at its start. */
  readonly offset: number
  readonly start: number
  readonly end: number
  /** Where the next stretch begins, which compaction may have left far behind the last batch; undefined at the end of the log. */
  readonly endOffset: number | undefined
}

/** What is known of a segment's file. */
export interface SegmentFile {
  readonly path: string
  readonly files: FilePool
  readonly bytes: number
  readonly newest?: number | undefined
  readonly since?: number | undefined
  readonly rewrites?: number
}

/** A segment of a partition. */
export class Segment {
  /** The offset of its first record, which names the file. */
  readonly base: number
  readonly path: string
  /** How often compaction rewrote it: if ever, offsets may be missing between its batches. */
  readonly rewrites: number
  /** Bytes that readers may see: whole batches that the index has. */
  bytes: number
  /** The largest timestamp of its records; undefined where no row has it. */
  newest: number | undefined
  /** When its first record was written; undefined while it is empty, and once it is complete. */
  since: number | undefined
  /** Its records are elsewhere or gone, and its file goes: whoever was reading it looks again. */
  isRetired = false
  readonly #files: FilePool
  /** Base offsets and byte places in ascending order; undefined until they are needed. */
  #places: { readonly offsets: number[]; readonly starts: number[] } | undefined
  #isNew = false
  #loading: Promise<void> | undefined
  readonly #load: () => Promise<readonly (readonly [number, number])[]>

  constructor(
    base: number,
    file: SegmentFile,
    load: () => Promise<readonly (readonly [number, number])[]> = () => Promise.resolve([]),
  ) {
    this.base = base
    this.path = file.path
    this.bytes = file.bytes
    this.newest = file.newest
    this.since = file.since
    this.rewrites = file.rewrites ?? 0
    this.#files = file.files
    this.#load = load
  }

  /** The last byte of which a place is kept; its places must be loaded. */
  get lastPlace(): number {
    return this.#places?.starts.at(-1) ?? 0
  }

  /** Brings the places of its batches into memory. */
  async load(): Promise<void> {
    if (this.#places !== undefined) return
    this.#loading ??= this.#load().then((rows) => {
      this.startWith(rows)
    })
    try {
      await this.#loading
    } finally {
      this.#loading = undefined
    }
  }

  /** A new segment has no places to load. */
  startEmpty(): this {
    this.#isNew = true
    return this.startWith([])
  }

  /** Knows its places, ascending, without loading them. */
  startWith(places: readonly (readonly [number, number])[]): this {
    this.#places = {
      offsets: places.map(([offset]) => offset),
      starts: places.map(([, at]) => at),
    }
    return this
  }

  /** Remembers where a batch begins. Its places must be loaded. */
  addPlace(offset: number, start: number): void {
    this.#places?.offsets.push(offset)
    this.#places?.starts.push(start)
  }

  /** The stretch that holds the batch with `offset`, whose places must be loaded; `nextBase` is where the next segment begins. */
  region(offset: number, nextBase?: number): Region {
    const { offsets, starts } = this.#places ?? { offsets: [], starts: [] }
    let low = 0
    let high = offsets.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((offsets[middle] ?? 0) <= offset) low = middle + 1
      else high = middle
    }
    return {
      offset: offsets[low - 1] ?? this.base,
      start: starts[low - 1] ?? 0,
      end: Math.min(starts[low] ?? this.bytes, this.bytes),
      endOffset: offsets[low] ?? nextBase,
    }
  }

  /** The base offset of a batch that begins before the byte `start`, the last one that is known. */
  placeBefore(start: number): number {
    const { offsets, starts } = this.#places ?? { offsets: [], starts: [] }
    const index = starts.findLastIndex((place) => place < start)
    return offsets[index] ?? this.base
  }

  /** Fills `into` from the byte `start` on; returns the bytes read, fewer only where the file ends. */
  async read(into: Uint8Array, start: number): Promise<number> {
    return await this.#files.use(this.path, openExisting, async (file) => {
      let done = 0
      while (done < into.length) {
        const { bytesRead } = await file.read(into, done, into.length - done, start + done)
        if (bytesRead === 0) break
        done += bytesRead
      }
      return done
    })
  }

  /** Writes the buffers one after the other from the byte `start` on. */
  async write(buffers: readonly Buffer[], start: number): Promise<void> {
    await this.#files.use(this.path, openOrMake, async (file) => {
      let rest = buffers
      for (let at = start; rest.length > 0;) {
        const { bytesWritten } = await file.writev(rest, at)
        at += bytesWritten
        rest = after(rest, bytesWritten)
      }
    })
  }

  /** Waits until the disk has all that was written, and the names of a new file and its folders. */
  async sync(): Promise<void> {
    await this.#files.use(this.path, openExisting, (file) => file.datasync())
    if (!this.#isNew) return
    const partition = dirname(this.path)
    const topic = dirname(partition)
    for (const folder of [partition, topic, dirname(topic)]) await syncFolder(folder)
    this.#isNew = false
  }

  /** Cuts the file to `bytes`. */
  async truncate(bytes: number): Promise<void> {
    await this.#files.use(this.path, openExisting, (file) => file.truncate(bytes))
  }
}

/** Waits until the disk has the names in a folder. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** What of `buffers` is left after its first `bytes` were written. */
function after(buffers: readonly Buffer[], bytes: number): readonly Buffer[] {
  let left = bytes
  for (let index = 0; index < buffers.length; index += 1) {
    const buffer = buffers[index]
    if (buffer === undefined) continue
    if (left < buffer.length) return [buffer.subarray(left), ...buffers.slice(index + 1)]
    left -= buffer.length
  }
  return []
}

/** Not O_APPEND: a write goes to the place where the index ends, over what a failed one left. */
async function openExisting(path: string): Promise<FileHandle> {
  return await open(path, 'r+')
}

async function openOrMake(path: string): Promise<FileHandle> {
  try {
    return await openExisting(path)
  } catch (error) {
    if (!isMissing(error)) throw error
    await makeFolder(dirname(path))
    return await open(path, 'wx+')
  }
}
