/**
 * The registry of the embedded log: a file of JSON lines, one for each registration, only ever
 * appended to. A line is whole once its line break is there; what a crash left behind the last line
 * break is cut off before the next line is written. Each line is synced before its id is given out,
 * for a record may carry the id right after.
 *
 * Registering looks at the file's new lines, decides and appends in one go without waiting, so that
 * several registries over one file in a process agree on ids. Processes are kept apart by the lock of
 * the folder that the file is in.
 */
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { asError, isMillraceError } from '../model/errors.ts'
import { makeFolderSync } from '../model/make-folder.ts'
import { SerdeError } from './errors.ts'
import { excerpt, shorten } from './excerpt.ts'
import type { Registry } from './registry.ts'
import type { Registration } from './schema-table.ts'
import { SchemaTable } from './schema-table.ts'

const LINE_BREAK = 0x0a

/** The registry in the file at `path`, which is made with its folder at the first registration. */
export function fileRegistry(path: string): Registry {
  const file = new RegistryFile(path)
  return {
    async register(subject, schema) {
      return file.register(subject, schema)
    },
    async schemaById(id) {
      return file.schemaById(id)
    },
  }
}

class RegistryFile {
  readonly #path: string
  readonly #table = new SchemaTable()
  /** Up to where the file was read: always the end of a whole line. */
  #readBytes = 0
  #lines = 0

  constructor(path: string) {
    this.#path = path
  }

  register(subject: string, schema: string): number {
    const known = this.#table.find(subject, schema)
    if (known !== undefined) return known.id
    const file = this.#open('a+')
    try {
      this.#catchUp(file)
      const made = this.#table.find(subject, schema)
      if (made !== undefined) return made.id
      const registration = this.#table.next(subject, schema)
      this.#append(file, registration)
      this.#table.add(registration)
      return registration.id
    } finally {
      closeSync(file)
    }
  }

  schemaById(id: number): string {
    try {
      return this.#table.schemaOf(id)
    } catch (unknown) {
      // Another registry over the same file may have made it.
      if (!this.#refresh()) throw unknown
      return this.#table.schemaOf(id)
    }
  }

  #refresh(): boolean {
    if (!existsSync(this.#path)) return false
    const file = this.#open('r')
    try {
      return this.#catchUp(file)
    } finally {
      closeSync(file)
    }
  }

  /** Reads the lines written since. True where there were any. */
  #catchUp(file: number): boolean {
    const size = fstatSync(file).size
    if (size < this.#readBytes) throw this.#damage(`was cut to ${size} bytes while it was in use`)
    const unread = Buffer.alloc(size - this.#readBytes)
    for (let done = 0; done < unread.length;) {
      const count = readSync(file, unread, done, unread.length - done, this.#readBytes + done)
      if (count === 0) throw this.#damage('became shorter while it was read')
      done += count
    }
    let start = 0
    for (let end = unread.indexOf(LINE_BREAK); end >= 0; end = unread.indexOf(LINE_BREAK, start)) {
      this.#take(unread.toString('utf8', start, end))
      this.#readBytes += end + 1 - start
      start = end + 1
    }
    return start > 0
  }

  #take(line: string): void {
    if (!this.#accepts(line)) {
      throw this.#damage(`line ${this.#lines + 1} is not a registration: ${excerpt(line)}`)
    }
    this.#lines++
  }

  #accepts(line: string): boolean {
    try {
      const registration = registrationOf(line)
      return registration !== undefined && this.#table.add(registration)
    } catch (error) {
      if (isMillraceError(error, 'MILLRACE_BAD_SCHEMA')) return false
      throw error
    }
  }

  #append(file: number, registration: Registration): void {
    const line = Buffer.from(`${JSON.stringify(registration)}\n`, 'utf8')
    try {
      // Behind the last line break there is only what a crash tore.
      if (fstatSync(file).size > this.#readBytes) ftruncateSync(file, this.#readBytes)
      for (let done = 0; done < line.length;) done += writeSync(file, line, done)
      fdatasyncSync(file)
      // Windows has no folders to sync; it orders such entries itself.
      if (this.#readBytes === 0 && process.platform !== 'win32') syncFolder(dirname(this.#path))
    } catch (cause) {
      throw this.#unwritable(cause)
    }
    this.#readBytes += line.length
    this.#lines++
  }

  #open(flags: 'a+' | 'r'): number {
    try {
      if (flags === 'a+') makeFolderSync(dirname(this.#path))
      return openSync(this.#path, flags)
    } catch (cause) {
      throw this.#unwritable(cause)
    }
  }

  #unwritable(cause: unknown): SerdeError {
    return new SerdeError(
      'MILLRACE_REGISTRY_UNWRITABLE',
      `the schema registry ${this.#path} cannot be used: ${shorten(asError(cause).message, 200)}. ` +
        'Check that its folder exists, belongs to this user and has room, then start again',
      { cause, place: this.#path },
    )
  }

  #damage(what: string): SerdeError {
    return new SerdeError(
      'MILLRACE_REGISTRY_DAMAGED',
      `the schema registry ${this.#path} ${what}. Restore the file from a copy: ` +
        'without it, records that carry its ids cannot be read',
      { place: this.#path },
    )
  }
}

/** A folder's entry for a new file is safe from a power cut only once the folder is synced. */
function syncFolder(folder: string): void {
  const file = openSync(folder, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

function registrationOf(line: string): Registration | undefined {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { id, subject, schema } = value as Partial<Record<keyof Registration, unknown>>
  if (typeof id !== 'number' || typeof subject !== 'string' || typeof schema !== 'string')
    return undefined
  return { id, subject, schema }
}
