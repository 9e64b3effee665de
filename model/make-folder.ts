/**
 * A folder that is to be there. Node's own recursive mkdir never returns, and keeps a core busy, where
 * the file system answers "no such folder" instead of "forbidden", as /proc does: it makes the parent,
 * which is there, and tries again for ever. Here each folder is made once.
 */
import { mkdirSync, statSync } from 'node:fs'
import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isMissing } from './missing-file.ts'

/** Makes the folder at `path` and those above it that are missing. Rejects with the system's error. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await makeOne(path)
  } catch (error) {
    const above = dirname(path)
    if (!isMissing(error) || above === path) throw error
    await makeFolder(above)
    await makeOne(path)
  }
}

/** The same, before it returns. Throws the system's error. */
export function makeFolderSync(path: string): void {
  try {
    makeOneSync(path)
  } catch (error) {
    const above = dirname(path)
    if (!isMissing(error) || above === path) throw error
    makeFolderSync(above)
    makeOneSync(path)
  }
}

/** One that is there already is in order; a file in its place is not. */
async function makeOne(path: string): Promise<void> {
  try {
    await mkdir(path)
  } catch (error) {
    if (isMissing(error) || !(await isFolder(path))) throw error
  }
}

function makeOneSync(path: string): void {
  try {
    mkdirSync(path)
  } catch (error) {
    const isFolder = statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
    if (isMissing(error) || !isFolder) throw error
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch {
    return false
  }
}
