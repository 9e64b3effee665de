/**
 * What a commit unit's folder says about itself, in one small file that is replaced whole and
 * reaches the disk before anything depends on it: whose it is, and whether it can be trusted.
 */
import { open, readFile, readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { MillraceError } from '../model/errors.ts'
import { isMissing } from '../model/missing-file.ts'

/** The contents of `unit.json`. */
export interface UnitFile {
  readonly version: 1
  readonly applicationId: string
  /** What the topology's stores look like; another fingerprint means that the stores cannot be read. */
  readonly fingerprint: string
  /** A UUID made with the folder. */
  readonly processId: string
  /** The kernel's id of the boot under which the folder was last opened; undefined where the system has none. */
  readonly bootId?: string
  /** Whether every file below was synced to the disk by the last close. */
  readonly closedCleanly: boolean
  /** Who opened it last, for the message of a second process. */
  readonly holderPid: number
}

const NAME = 'unit.json'

/** Reads a folder's file; undefined where there is none. Throws MILLRACE_STATE_CORRUPT where it is no unit file. */
export async function readUnitFile(folder: string): Promise<UnitFile | undefined> {
  const path = join(folder, NAME)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
  const unit = parse(text)
  if (unit !== undefined) return unit
  throw new MillraceError(
    'MILLRACE_STATE_CORRUPT',
    `${path} is damaged, or a newer millrace wrote it. Run the newer version, or delete ${folder}: ` +
      'its state is then restored from the changelogs.',
    { place: path },
  )
}

/** Replaces a folder's file; on return it is on the disk. */
export async function writeUnitFile(folder: string, unit: UnitFile): Promise<void> {
  const temporary = join(folder, `${NAME}.new`)
  const file = await open(temporary, 'w')
  try {
    await file.writeFile(`${JSON.stringify(unit, undefined, 2)}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, join(folder, NAME))
  await sync(folder)
}

/** Brings every file below `folder` to the disk, and the folders' own entries. */
export async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) await syncTree(path)
    else if (entry.isFile()) await sync(path)
  }
  await sync(folder)
}

/** The id of the running kernel's boot: it changes when the machine goes down. Undefined where the system has none. */
export async function kernelBootId(): Promise<string | undefined> {
  return readFile('/proc/sys/kernel/random/boot_id', 'utf8').then(
    (text) => text.trim(),
    () => undefined,
  )
}

async function sync(path: string): Promise<void> {
  const file = await open(path, 'r')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

function parse(text: string): UnitFile | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    return isUnitFile(parsed) ? parsed : undefined
  } catch {
    return undefined
  }
}

function isUnitFile(value: unknown): value is UnitFile {
  if (typeof value !== 'object' || value === null) return false
  const unit = value as Readonly<Record<keyof UnitFile, unknown>>
  return (
    unit.version === 1 &&
    [unit.applicationId, unit.fingerprint, unit.processId].every(
      (text) => typeof text === 'string',
    ) &&
    typeof unit.closedCleanly === 'boolean' &&
    typeof unit.holderPid === 'number'
  )
}
