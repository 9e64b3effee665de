/** Registers one schema after the other and prints each id as soon as it has it, until it is killed. */
import { writeSync } from 'node:fs'
import { fileRegistry } from '../../serdes/file-registry.ts'

const [path = '', round = ''] = process.argv.slice(2)
const registry = fileRegistry(path)
for (let i = 0; ; i++) {
  const schema = `{"round":${round},"n":${i}}`
  const id = await registry.register(`s${i}`, schema)
  writeSync(1, `${id} ${schema}\n`)
}
