import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { makeFolder, makeFolderSync } from '../../model/make-folder.ts'

const ways = [
  ['makeFolder', makeFolder],
  ['makeFolderSync', async (path: string) => makeFolderSync(path)],
] as const

describe.each(ways)('a folder that is to be there, by %s', (_, make) => {
  test('is made with those above it, by several at once and again', async () => {
    const root = await mkdtemp(join(tmpdir(), 'millrace-folder-'))
    const path = join(root, 'a', 'b', 'c')
    await Promise.all([make(path), make(path), make(join(root, 'a'))])
    await make(path)
    expect((await stat(path)).isDirectory()).toBe(true)
    await rm(root, { recursive: true })
  })

  test('is refused where a file is in its way', async () => {
    const root = await mkdtemp(join(tmpdir(), 'millrace-folder-'))
    await writeFile(join(root, 'file'), '')
    await expect(make(join(root, 'file'))).rejects.toMatchObject({ code: 'EEXIST' })
    await expect(make(join(root, 'file', 'a'))).rejects.toMatchObject({ code: 'ENOTDIR' })
    await rm(root, { recursive: true })
  })

  // A file system that knows no folder but its own answers "no such folder" for a new one.
  test('is refused at once where the system makes none', async () => {
    await expect(make('/proc/millrace/a/b')).rejects.toThrow('/proc')
  })
})
