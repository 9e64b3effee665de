/** Writes until the file-size limit it was started under is met, then tells how that showed. */
import { isMillraceError } from '../../model/errors.ts'
import { openLevelDatabase } from '../../state/level-database.ts'

const { database } = await openLevelDatabase(process.argv[2] ?? '')
let acknowledged = 0
try {
  for (; acknowledged < 1_000; acknowledged++) {
    await database.write([
      { key: Buffer.from(`key${acknowledged}`), value: Buffer.alloc(100_000, 7) },
    ])
  }
} catch (error) {
  if (!isMillraceError(error)) throw error
  console.log(JSON.stringify({ code: error.code, message: error.message, acknowledged }))
}
