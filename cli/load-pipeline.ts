/**
 * A pipeline from its author's file. The file runs as it is: Node strips the types, and `millrace`
 * means this very program, wherever it is installed, so that a global install works in a folder
 * without packages and both sides agree on every class. What can be wrong with the file is told
 * apart, for the author sees nothing else of it.
 */
import { readFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { findPackageJSON, registerHooks } from 'node:module'
import { basename, dirname, extname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { asError, isMillraceError, MillraceError } from '../model/errors.ts'
import type { Topology } from '../topology/graph.ts'

const EXAMPLE = "export default topology('name', ({ stream }) => { … })"

/**
 * Imports a file and gives back the topology it exports by default. Rejects with
 * MILLRACE_PIPELINE_MISSING, _SYNTAX, _IMPORT, _THREW or _EMPTY, and passes on what millrace itself
 * found wrong (MILLRACE_TOPOLOGY_INVALID).
 */
export async function loadPipeline(path: string): Promise<Topology> {
  await assertFile(path)
  resolveOwnName()
  const exported = await importFile(path)
  if (isTopology(exported['default'])) return exported['default']
  const named = Object.entries(exported).find(([, value]) => isTopology(value))
  const hint =
    named === undefined
      ? `write ${EXAMPLE}`
      : `it exports one as '${named[0]}': write 'export default' in its place`
  throw new MillraceError(
    'MILLRACE_PIPELINE_EMPTY',
    `${path} exports no topology by default; ${hint}`,
    {
      place: path,
    },
  )
}

async function assertFile(path: string): Promise<void> {
  const found = await stat(path).catch((error: unknown) => {
    const message = `there is no pipeline at ${path}; give the path of a .ts or .js file`
    throw new MillraceError('MILLRACE_PIPELINE_MISSING', message, { place: path, cause: error })
  })
  if (found.isFile()) return
  const message = `${path} is no file; give the path of a .ts or .js file`
  throw new MillraceError('MILLRACE_PIPELINE_MISSING', message, { place: path })
}

/** Makes `millrace` and `millrace/testing` in the pipeline's files mean this program. */
function resolveOwnName(): void {
  const own = new Map(
    ['millrace', 'millrace/testing'].map((name) => [name, import.meta.resolve(name)] as const),
  )
  registerHooks({
    resolve: (specifier, context, nextResolve) => {
      const url = own.get(specifier)
      return url === undefined ? nextResolve(specifier, context) : nextResolve(url, context)
    },
  })
}

async function importFile(path: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return (await import(pathToFileURL(resolve(path)).href)) as Readonly<Record<string, unknown>>
  } catch (thrown) {
    throw failureOf(path, asError(thrown))
  }
}

function failureOf(path: string, error: Error): MillraceError {
  if (isMillraceError(error)) return error
  const details = { place: path, cause: error }
  const code = 'code' in error ? error.code : undefined
  const isMissingName = error.message.includes('does not provide an export named')
  if ((error instanceof SyntaxError && !isMissingName) || isTypeStrippingError(code)) {
    const otherKind = readAsScript(path, error)
    if (otherKind !== undefined)
      return new MillraceError('MILLRACE_PIPELINE_SYNTAX', otherKind, details)
    const message = `${placeOf(error) ?? path} has a syntax error: ${firstLine(error.message)}; correct it and run again`
    return new MillraceError('MILLRACE_PIPELINE_SYNTAX', message, details)
  }
  if (isMissingName || isMissingModule(code)) {
    const message = `${path} imports something that is not there: ${firstLine(error.message)}; install it, or correct the import`
    return new MillraceError('MILLRACE_PIPELINE_IMPORT', message, details)
  }
  const message = `${path} threw while it was loaded: ${firstLine(error.message)}; --debug shows where`
  return new MillraceError('MILLRACE_PIPELINE_THREW', message, details)
}

/** What Node says of a module's words in a file that it reads as CommonJS. */
const MODULE_WORDS =
  /import statement outside a module|Unexpected token 'export'|Cannot use 'import\.meta'|await is only valid in/

/**
 * A sentence about the package.json that makes Node read the file as CommonJS, as `npm init -y` writes
 * it; undefined where the file itself is wrong. Without that line Node sees by itself what a file is.
 */
function readAsScript(path: string, error: Error): string | undefined {
  if (!MODULE_WORDS.test(error.message)) return undefined
  const file = placeOf(error)?.replace(/:\d+$/, '') ?? resolve(path)
  const about = findPackageJSON(pathToFileURL(file))
  if (about === undefined || !asksForScripts(readFileSync(about, 'utf8'))) return undefined
  const extension = extname(file)
  const other = `${basename(file, extension)}.m${extension.slice(1)}`
  return (
    `${file} is a module, and package.json in ${dirname(about)} says "type": "commonjs": ` +
    `set "type": "module", or name the file ${other}`
  )
}

function asksForScripts(packageJson: string): boolean {
  return (JSON.parse(packageJson) as { readonly type?: unknown }).type === 'commonjs'
}

function isMissingModule(code: unknown): boolean {
  return code === 'ERR_MODULE_NOT_FOUND' || code === 'ERR_PACKAGE_PATH_NOT_EXPORTED'
}

function isTypeStrippingError(code: unknown): boolean {
  return code === 'ERR_INVALID_TYPESCRIPT_SYNTAX' || code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX'
}

/** `file:line`, which Node puts in front of the stack of a syntax error. */
function placeOf(error: Error): string | undefined {
  const match = /^(?:file:\/\/)?(\/?\S.*:\d+)$/m.exec(error.stack?.split('\n', 1)[0] ?? '')
  return match?.[1]
}

function firstLine(message: string): string {
  return message.trim().split('\n', 1)[0]?.trim() ?? ''
}

function isTopology(value: unknown): value is Topology {
  if (typeof value !== 'object' || value === null) return false
  if (!('name' in value) || typeof value.name !== 'string') return false
  return 'subtopologies' in value && Array.isArray(value.subtopologies) && 'nodes' in value
}
