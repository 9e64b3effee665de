/** The errors that only a log in a folder has: its disk, its files, its holder. */
import { asError } from '../../model/errors.ts'
import { TransportError } from '../errors.ts'

const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])
const FULL_IN_LEVELDB = /No space left|File too large|quota exceeded/i

/** What went wrong while `path` was written or read, as an error of the port. */
export function diskError(cause: unknown, path: string): TransportError {
  if (cause instanceof TransportError) return cause
  if (isDiskFull(cause)) {
    return new TransportError('MILLRACE_DISK_FULL', 'abortable', {
      message:
        `No room to write ${path} (${asError(cause).message}). Nothing of the write is visible. ` +
        'Free space on that disk, or raise the limit on file sizes, and start again.',
      place: path,
      remedy: 'stop',
      cause,
    })
  }
  return new TransportError('MILLRACE_LOG_IO', 'fatal', {
    message:
      `The embedded log cannot use ${path}: ${asError(cause).message}. ` +
      'See that the disk is well and that this user may read and write the folder, and start again.',
    place: path,
    cause,
  })
}

/** The index could not be written: what LevelDB has of the change is known only after it was opened again. */
export function indexError(cause: unknown, path: string): TransportError {
  const code = isDiskFull(cause) ? 'MILLRACE_DISK_FULL' : 'MILLRACE_LOG_IO'
  return new TransportError(code, 'fatal', {
    message:
      `The index of the embedded log could not be written in ${path} (${asError(cause).message}), ` +
      'so the log takes no more writes. Free space on that disk, close the log and open it again.',
    place: path,
    cause,
  })
}

/** Bytes that were acknowledged are missing or changed. */
export function logDamaged(
  what: string,
  {
    file,
    offset,
    topic,
  }: { readonly file: string; readonly offset: number; readonly topic: string },
  cause?: unknown,
): TransportError {
  return new TransportError('MILLRACE_LOG_DAMAGED', 'fatal', {
    message:
      `The embedded log is damaged in ${file} from offset ${offset} on: ${what}. ` +
      `Put the file back from a copy, or delete the topic ${topic} and fill it again; ` +
      'other partitions are not affected.',
    place: `${file}@${offset}`,
    cause,
  })
}

/** The index is lost or cannot be read, so that nobody knows what of the segments counts. */
export function indexDamaged(what: string, path: string, cause?: unknown): TransportError {
  return new TransportError('MILLRACE_LOG_DAMAGED', 'fatal', {
    message:
      `The index of the embedded log in ${path} is damaged: ${what}. Nothing was changed. ` +
      'Put the whole folder back from a copy, or begin a new log in another folder.',
    place: path,
    cause,
  })
}

/** Another opened log, in this process or in another, holds the folder. */
export function logInUse(folder: string, holderPid: number | undefined): TransportError {
  const holder =
    holderPid === undefined
      ? 'another process'
      : holderPid === process.pid
        ? `this same process (pid ${holderPid})`
        : `the process with pid ${holderPid}`
  return new TransportError('MILLRACE_LOG_IN_USE', 'fatal', {
    message:
      `The embedded log in ${folder} is in use by ${holder}, and the two do not share it. ` +
      'Stop it first, let both open it with `share`, or give this one another folder.',
    place: folder,
  })
}

function isDiskFull(cause: unknown): boolean {
  for (let error: unknown = cause; error instanceof Error; error = error.cause) {
    const code = 'code' in error ? String(error.code) : ''
    if (FULL.has(code) || FULL_IN_LEVELDB.test(error.message)) return true
  }
  return false
}
