import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { makeFolder } from '../../model/make-folder.ts'

describe('a folder that is to be there', () => {
  test('is made with those above it, by several at once and again', async () => {
    const root = await mkdtemp(join(tmpdir(), 'millrace-folder-'))
    const path = join(root, 'a', 'b', 'c')
    await Promise.all([makeFolder(path), makeFolder(path), makeFolder(join(root, 'a'))])
    await makeFolder(path)
    expect((await stat(path)).isDirectory()).toBe(true)
    await rm(root, { recursive: true })
  })

  test('is refused where a file is in its way', async () => {
    const root = await mkdtemp(join(tmpdir(), 'millrace-folder-'))
    await writeFile(join(root, 'file'), '')
    await expect(makeFolder(join(root, 'file'))).rejects.toMatchObject({ code: 'EEXIST' })
    await expect(makeFolder(join(root, 'file', 'a'))).rejects.toMatchObject({ code: 'ENOTDIR' })
    await rm(root, { recursive: true })
  })

  // A file system that knows no folder but its own answers "no such folder" for a new one.
  test('is refused at once where the system makes none', async () => {
    await expect(makeFolder('/proc/millrace/a/b')).rejects.toThrow('/proc')
  })
})
