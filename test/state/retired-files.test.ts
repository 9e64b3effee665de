import { describe, expect, test } from 'vitest'
import { RetiredFiles } from '../../state/retired-files.ts'

function retiredFiles(): { readonly retired: RetiredFiles; readonly removed: number[] } {
  const removed: number[] = []
  const retired = new RetiredFiles(async (file) => {
    removed.push(file)
  })
  return { retired, removed }
}

describe('retired files', () => {
  test('go at once where no snapshot is open', async () => {
    const { retired, removed } = retiredFiles()
    await retired.retire([1, 2])
    expect(removed).toEqual([1, 2])
  })
  test('stay for the snapshots taken before, and for none taken after', async () => {
    const { retired, removed } = retiredFiles()
    const before = retired.pin()
    await retired.retire([1])
    const after = retired.pin()
    await retired.retire([2])
    await retired.release(before)
    expect(removed).toEqual([1])
    await retired.release(after)
    expect(removed).toEqual([1, 2])
  })
  test('stay until the last of several snapshots that saw them ends, in whatever order', async () => {
    const { retired, removed } = retiredFiles()
    const [a, b, c] = [retired.pin(), retired.pin(), retired.pin()]
    await retired.retire([1])
    await retired.release(c)
    await retired.release(a)
    await retired.release(a)
    expect(removed).toEqual([])
    await retired.retire([2])
    await retired.release(b)
    expect(new Set(removed)).toEqual(new Set([1, 2]))
  })
})
