/**
 * A file that must stay as it is while it is read. It is known by device, inode, size and time of
 * modification: each is looked at when the file is opened and again before anything that was read
 * from it counts, so that a file which is still being recorded, or replaced meanwhile, never passes
 * for a whole video.
 */
import { open, stat, type FileHandle } from 'node:fs/promises'
import type { BigIntStats } from 'node:fs'
import { VideoError } from './video-error.ts'
import type { VideoSource } from './video-source.ts'

/** An open file of at least one byte. */
export class VideoFile implements VideoSource, AsyncDisposable {
  readonly place: string
  readonly sizeBytes: number
  readonly #handle: FileHandle
  readonly #identity: string

  private constructor(place: string, handle: FileHandle, stats: BigIntStats) {
    this.place = place
    this.#handle = handle
    this.sizeBytes = Number(stats.size)
    this.#identity = identityOf(stats)
  }

  /**
   * Opens `path`. Rejects with MILLRACE_FILE_MISSING, MILLRACE_FILE_NOT_REGULAR (a directory, a
   * pipe), MILLRACE_FILE_EMPTY or MILLRACE_FILE_UNREADABLE.
   */
  static async open(path: string): Promise<VideoFile> {
    // Looked at before it is opened: opening a pipe would wait for its writer.
    const before = await stat(path, { bigint: true }).catch((cause: unknown) => {
      throw cannotOpen(path, cause)
    })
    if (!before.isFile()) throw notRegular(path, before)
    const handle = await open(path, 'r').catch((cause: unknown) => {
      throw cannotOpen(path, cause)
    })
    try {
      const stats = await handle.stat({ bigint: true })
      if (!stats.isFile()) throw notRegular(path, stats)
      if (stats.size === 0n) {
        throw new VideoError('MILLRACE_FILE_EMPTY', `${path} is empty: ingest a video.`, {
          place: path,
        })
      }
      return new VideoFile(path, handle, stats)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  async read(offset: number, target: Buffer): Promise<void> {
    let filled = 0
    while (filled < target.length) {
      const { bytesRead } = await this.#handle.read(
        target,
        filled,
        target.length - filled,
        offset + filled,
      )
      if (bytesRead === 0) throw this.#changed('it is shorter than it was')
      filled += bytesRead
    }
  }

  /** Rejects with MILLRACE_FILE_CHANGED unless the open file, and the one its path names, are what was opened. */
  async assertUnchanged(): Promise<void> {
    const now = await this.#handle.stat({ bigint: true })
    if (identityOf(now) !== this.#identity) throw this.#changed('its size or time has changed')
    const named = await stat(this.place, { bigint: true }).catch(() => undefined)
    if (named === undefined || identityOf(named) !== this.#identity) {
      throw this.#changed('another file has taken its place')
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close()
  }

  #changed(how: string): VideoError {
    return new VideoError(
      'MILLRACE_FILE_CHANGED',
      `${this.place} changed while it was read: ${how}. Wait until nothing writes to it, then ingest it again; what is in the log stays marked as unfinished.`,
      { place: this.place },
    )
  }
}

function identityOf(stats: BigIntStats): string {
  return `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeNs}`
}

function notRegular(path: string, stats: BigIntStats): VideoError {
  const what = stats.isDirectory() ? 'a directory' : 'not a regular file'
  return new VideoError(
    'MILLRACE_FILE_NOT_REGULAR',
    `${path} is ${what}: name a video file, which can be read more than once.`,
    { place: path },
  )
}

function cannotOpen(path: string, cause: unknown): VideoError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new VideoError('MILLRACE_FILE_MISSING', `${path} does not exist: check the path.`, {
      place: path,
      cause,
    })
  }
  return new VideoError(
    'MILLRACE_FILE_UNREADABLE',
    `${path} cannot be opened (${code}): check its permissions.`,
    { place: path, cause },
  )
}
