/**
 * The folder of an embedded log: what marks it, and who holds it. A folder that is neither empty nor
 * marked is never written into, because it is somebody else's.
 */
import { mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { asError } from '../../model/errors.ts'
import { makeFolder } from '../../model/make-folder.ts'
import { TransportError } from '../errors.ts'

/**
 * The version of the layout that this code writes. A folder of a later one is refused; one of an
 * earlier one is taken over, and an earlier millrace refuses it from then on. Version 2 brought
 * segments that were rewritten, the times of segments, and the start of a partition.
 */
export const FORMAT_VERSION = 2

const FORMAT = 'millrace-embedded-log'
const MARK = 'embedded-log.json'
/** Begins the name of where a mark is written before it counts. */
const MARK_DRAFT = 'embedded-log.json.new'
const HOLDER = 'holder.json'

/** The places in the folder of a log. */
export interface LogFolder {
  readonly path: string
  readonly index: string
  readonly topics: string
}

/** Makes or checks the folder. Writes nothing into a folder that is not empty and not a log. */
export async function prepareFolder(path: string): Promise<LogFolder> {
  try {
    await makeFolder(path)
    const names = await readdir(path)
    if (names.includes(MARK)) {
      const version = checkMark(await readFile(join(path, MARK), 'utf8'), path)
      if (version < FORMAT_VERSION) await mark(path)
    } else if (names.some((name) => !name.startsWith(MARK_DRAFT))) throw foreign(path)
    else await mark(path)
    const folder = { path, index: join(path, 'index'), topics: join(path, 'topics') }
    await makeFolder(folder.topics)
    return folder
  } catch (error) {
    throw error instanceof TransportError ? error : unusable(path, error)
  }
}

/** Who holds a log, as it said itself. */
export interface Holder {
  readonly pid: number
  /** Whether it serves other processes. */
  readonly isSharing: boolean
}

/** Names this process as the holder, for the message that a second one gets. */
export async function nameHolder(
  folder: LogFolder,
  { isSharing }: Pick<Holder, 'isSharing'>,
): Promise<void> {
  const holder: Holder = { pid: process.pid, isSharing }
  await writeFile(join(folder.path, HOLDER), `${JSON.stringify(holder)}\n`)
}

/** The process that last named itself, if one did. */
export async function readHolder(folder: LogFolder): Promise<Holder | undefined> {
  try {
    const holder: unknown = JSON.parse(await readFile(join(folder.path, HOLDER), 'utf8'))
    if (typeof holder !== 'object' || holder === null || !('pid' in holder)) return undefined
    if (typeof holder.pid !== 'number') return undefined
    return { pid: holder.pid, isSharing: 'isSharing' in holder && holder.isSharing === true }
  } catch {
    // The file is a courtesy: without it the message says "another process".
    return undefined
  }
}

/** The holder lets go. */
export async function dropHolder(folder: LogFolder): Promise<void> {
  await rm(join(folder.path, HOLDER), { force: true })
}

/**
 * By a rename, so that a crash leaves no mark that cannot be read, from a place of its own, so that
 * several processes may come at once.
 */
async function mark(path: string): Promise<void> {
  const text = JSON.stringify({ format: FORMAT, version: FORMAT_VERSION })
  const place = await mkdtemp(join(path, `${MARK_DRAFT}-`))
  await writeFile(join(place, MARK), `${text}\n`)
  await rename(join(place, MARK), join(path, MARK))
  await rm(place, { recursive: true, force: true })
}

/** The version that the mark names. */
function checkMark(text: string, path: string): number {
  let mark: unknown
  try {
    mark = JSON.parse(text)
  } catch {
    throw foreign(path)
  }
  if (typeof mark !== 'object' || mark === null) throw foreign(path)
  if (!('format' in mark) || mark.format !== FORMAT || !('version' in mark)) throw foreign(path)
  if (typeof mark.version === 'number' && mark.version <= FORMAT_VERSION) {
    return mark.version
  }
  throw new TransportError('MILLRACE_LOG_VERSION', 'fatal', {
    message:
      `The embedded log in ${path} has format ${String(mark.version)}, and this millrace knows ` +
      `formats up to ${FORMAT_VERSION}. Update millrace, or use another folder.`,
    place: path,
  })
}

function foreign(path: string): TransportError {
  return new TransportError('MILLRACE_NOT_A_LOG', 'fatal', {
    message:
      `The folder ${path} is not empty and is not an embedded log (it has no valid ${MARK}). ` +
      'Nothing was written. Name an empty folder, or one that does not exist yet.',
    place: path,
  })
}

function unusable(path: string, cause: unknown): TransportError {
  return new TransportError('MILLRACE_LOG_FOLDER', 'fatal', {
    message:
      `The folder ${path} of the embedded log cannot be made or used: ${asError(cause).message}. ` +
      'Name a folder that this user may make and write, whose parents are folders.',
    place: path,
    cause,
  })
}
