import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { sharedSchemas } from '../../cli/shared-schemas.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import { folderWith, startFile } from './millrace.ts'

const PROGRAM = `
import { sharedSchemas } from '${new URL('../../cli/shared-schemas.ts', import.meta.url).href}'
import { systemClock } from '${new URL('../../runtime/system-clock.ts', import.meta.url).href}'
const [path, own] = process.argv.slice(2)
const registry = sharedSchemas(path, systemClock())
const schema = (name) => JSON.stringify({ type: 'record', name, fields: [] })
const names = Array.from({ length: 12 }, (_, at) => 'Common' + at).concat('Own' + own)
const ids = await Promise.all(names.map((name) => registry.register('subject', schema(name))))
console.log(JSON.stringify(ids))
`

test('processes that register at once agree on ids, and lose none', async () => {
  await using folder = await folderWith({ 'register.ts': PROGRAM })
  const path = join(folder.path, 'schemas.jsonl')
  const runs = [1, 2, 3].map((own) =>
    startFile(join(folder.path, 'register.ts'), [path, String(own)]),
  )
  const ended = await Promise.all(runs.map((run) => run.ended))
  expect(ended.map(({ code, stderr }) => [code, stderr])).toEqual(runs.map(() => [0, '']))
  const ids = ended.map(({ stdout }) => JSON.parse(stdout) as readonly number[])
  const common = ids.map((one) => one.slice(0, 12))
  expect(common).toEqual(common.map(() => common[0]))
  expect(new Set(ids.flat()).size).toBe(15)
  const registry = sharedSchemas(path, systemClock())
  for (const [at, one] of ids.entries()) {
    expect(await registry.schemaById(one.at(-1) ?? 0)).toContain(`Own${at + 1}`)
  }
  expect((await readFile(path, 'utf8')).trimEnd().split('\n')).toHaveLength(15)
})
