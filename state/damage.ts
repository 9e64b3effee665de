/**
 * The mark that damage leaves in a database's folder. LevelDB may open a folder in which a read has
 * met damage without a word, so what was found is written down, and the next open moves the folder
 * aside.
 */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { asError } from '../model/errors.ts'
import { isCorruption, stateError } from './level-errors.ts'

const MARK = 'DAMAGED'

/** `error`, met in the database at `folder`, as an error of millrace; damage is marked. */
export function explained(error: unknown, folder: string): Error {
  if (isCorruption(error)) {
    try {
      writeFileSync(join(folder, MARK), asError(error).message)
    } catch {
      // The mark only makes the next start better; the error that is thrown says what is wrong.
    }
  }
  return stateError(error, folder)
}

/** Whether a read of the database at `folder` has met damage. */
export function isMarkedDamaged(folder: string): boolean {
  return existsSync(join(folder, MARK))
}
