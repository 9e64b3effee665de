/**
 * Writes until the file-size limit it was started under is met, then tells how that showed: values
 * of 100,000 bytes into LevelDB, or growing ones into files of their own.
 */
import { isMillraceError } from '../../model/errors.ts'
import { openLevelDatabase } from '../../state/level-database.ts'

const [folder = '', where = 'rows'] = process.argv.slice(2)
const blobBytes = where === 'files' ? 0 : Infinity
const { database } = await openLevelDatabase(folder, { blobBytes })
let acknowledged = 0
try {
  for (; acknowledged < 1_000; acknowledged++) {
    await database.write([
      {
        key: Buffer.from(`key${acknowledged}`),
        value: Buffer.alloc(100_000 * (where === 'files' ? acknowledged + 1 : 1), 7),
      },
    ])
  }
} catch (error) {
  if (!isMillraceError(error)) throw error
  console.log(JSON.stringify({ code: error.code, message: error.message, acknowledged }))
}
