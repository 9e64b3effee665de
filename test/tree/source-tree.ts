/** The files of this checkout, as the tests that judge the tree itself read them. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** A file of the tree: its path from the root, with forward slashes, and its text. */
export interface SourceFile {
  readonly path: string
  readonly text: string
}

/** The folder of package.json. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

const GENERATED = new Set(['node_modules', 'dist', 'coverage'])

/** Every file under the root whose name ends in one of `endings`. Generated folders and hidden ones are left out, .ci aside. */
export function filesOfTree(endings: readonly string[]): readonly SourceFile[] {
  return pathsUnder('')
    .filter((path) => endings.some((ending) => path.endsWith(ending)))
    .map((path) => ({ path, text: readFileSync(ROOT + path, 'utf8') }))
}

function pathsUnder(folder: string): string[] {
  return readdirSync(ROOT + folder, { withFileTypes: true }).flatMap((entry) => {
    const path = folder + entry.name
    if (entry.isFile()) return [path]
    const hidden = entry.name.startsWith('.') && entry.name !== '.ci'
    return entry.isDirectory() && !hidden && !GENERATED.has(entry.name)
      ? pathsUnder(`${path}/`)
      : []
  })
}
