/**
 * A registry in a file that several processes of one machine write, where no log of theirs is held by
 * one of them. Whoever registers holds a lock meanwhile. It is LevelDB's, that is the kernel's: one
 * that a killed process left behind does not exist. Only new schemas need it, so it is rarely waited
 * for. Several machines use a real registry: file systems of networks do not keep such locks.
 */
import { sleep, type Clock } from '../model/clock.ts'
import { isMillraceError, MillraceError } from '../model/errors.ts'
import { fileRegistry } from '../serdes/file-registry.ts'
import type { Registry } from '../serdes/registry.ts'
import { openLevelDatabase } from '../state/level-database.ts'
import type { Database } from '../state/store.ts'

/** How long the lock is waited for: many times what others may hold it. */
const LOCK_DEADLINE_MS = 30_000
/** How often it is looked whether the lock is free. */
const LOCK_RETRY_MS = 20

/** The registry in the file at `path`; the lock is a folder beside it, `<path>.lock`. */
export function sharedSchemas(path: string, clock: Clock): Registry {
  const file = fileRegistry(path)
  const known = new Map<string, Promise<number>>()
  let last: Promise<unknown> = Promise.resolve()
  return {
    register: (subject, schema) => {
      const name = JSON.stringify([subject, schema])
      const asked = known.get(name)
      if (asked !== undefined) return asked
      // One after the other: a second opening within a process would make the system forget the lock.
      const made = last.then(() => registerAlone(file, { path, clock, subject, schema }))
      last = made.catch(() => {})
      known.set(name, made)
      // What failed is tried again by whoever comes next.
      made.catch(() => known.delete(name))
      return made
    },
    schemaById: (id) => file.schemaById(id),
  }
}

interface Registering {
  readonly path: string
  readonly clock: Clock
  readonly subject: string
  readonly schema: string
}

async function registerAlone(
  file: Registry,
  { path, clock, subject, schema }: Registering,
): Promise<number> {
  const lock = await takeLock(`${path}.lock`, clock)
  try {
    return await file.register(subject, schema)
  } finally {
    await lock[Symbol.asyncDispose]()
  }
}

async function takeLock(folder: string, clock: Clock): Promise<Database> {
  const end = clock.monotonic() + LOCK_DEADLINE_MS
  for (;;) {
    try {
      return (await openLevelDatabase(folder)).database
    } catch (error) {
      if (!isMillraceError(error, 'MILLRACE_STATE_IN_USE')) throw unwritable(folder, error)
      if (clock.monotonic() >= end) throw unwritable(folder, error)
    }
    await sleep(clock, LOCK_RETRY_MS * (0.5 + clock.random()))
  }
}

function unwritable(folder: string, cause: unknown): MillraceError {
  const why = isMillraceError(cause, 'MILLRACE_STATE_IN_USE')
    ? `another process has held its lock ${folder} for ${LOCK_DEADLINE_MS / 1000} seconds. Look whether it hangs`
    : `its lock ${folder} cannot be made. Check that its folder exists, belongs to this user and has room`
  const message = `the file of schemas cannot be written: ${why}, then start again`
  return new MillraceError('MILLRACE_REGISTRY_UNWRITABLE', message, { place: folder, cause })
}
