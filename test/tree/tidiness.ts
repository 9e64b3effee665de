/**
 * What a machine can hold of the manners of this code: names that say nothing, error codes without a
 * page, public exports without a sentence, dead links, and traces of the machine something was
 * written on.
 */
import { posix } from 'node:path'
import { parseSync, type Node } from 'oxc-parser'
import { walk } from './module-facts.ts'
import type { SourceFile } from './source-tree.ts'

// ------------------------------------------------------------------------------------------ names

const EMPTY_WORDS = new Set([
  'manager',
  'helper',
  'helpers',
  'util',
  'utils',
  'utility',
  'utilities',
  'impl',
  'base',
  'misc',
  'common',
  'stuff',
])

/** Files and folders whose name has a word that says nothing about what is in them. */
export function emptyNames(paths: readonly string[]): readonly string[] {
  return paths.filter((path) =>
    path
      .toLowerCase()
      .split(/[/.\-_]/)
      .some((word) => EMPTY_WORDS.has(word)),
  )
}

/** Declared types, classes and functions whose name has such a word: `path:line Name`. */
export function emptyDeclarations(file: SourceFile): readonly string[] {
  const found: string[] = []
  walk(parsed(file), (node) => {
    const name = declaredName(node)
    if (name === undefined) return
    const words = name.split(/(?=[A-Z])/).map((word) => word.toLowerCase())
    // A time base is video's word and a base offset Kafka's: only what begins with it says nothing.
    const empty = words.some((word, at) => EMPTY_WORDS.has(word) && (word !== 'base' || at === 0))
    if (empty || words[0] === 'abstract')
      found.push(`${file.path}:${lineOf(file, node.start)} ${name}`)
  })
  return found
}

function declaredName(node: Node): string | undefined {
  switch (node.type) {
    case 'TSInterfaceDeclaration':
    case 'TSTypeAliasDeclaration':
      return node.id.name
    case 'ClassDeclaration':
    case 'FunctionDeclaration':
      return node.id?.name
    default:
      return undefined
  }
}

// -------------------------------------------------------------------------------------- error codes

/** The error codes a file names, and the places where one is put together from parts, which nobody can look up. */
export function errorCodes(file: SourceFile): {
  readonly codes: readonly string[]
  readonly composed: readonly string[]
} {
  const codes: string[] = []
  const composed: string[] = []
  walk(parsed(file), (node, ancestors) => {
    const text = node.type === 'Literal' && typeof node.value === 'string' ? node.value : undefined
    const parent = ancestors.at(-1)
    // `env['MILLRACE_…']` is the name of a variable of the environment.
    if (text !== undefined && parent?.type === 'MemberExpression') return
    if (text !== undefined && asksForStart(parent)) return
    if (text !== undefined && /^MILLRACE_[A-Z0-9_]*[A-Z0-9]$/.test(text)) codes.push(text)
    const partial = node.type === 'TemplateElement' && parent?.type === 'TemplateLiteral'
    const start = partial ? (node.value.cooked ?? '') : (text ?? '')
    if (/^MILLRACE_([A-Z0-9_]*_)?$/.test(start))
      composed.push(`${file.path}:${lineOf(file, node.start)}`)
  })
  return { codes, composed }
}

/** Whether a node is `….startsWith(…)`: asking for a family of codes makes none. */
function asksForStart(node: Node | undefined): boolean {
  if (node?.type !== 'CallExpression' || node.callee.type !== 'MemberExpression') return false
  const { property } = node.callee
  return property.type === 'Identifier' && property.name === 'startsWith'
}

/** The codes that have a heading in a page. */
export function documentedCodes(page: string): readonly string[] {
  return [...page.matchAll(/^## (MILLRACE_[A-Z0-9_]+)$/gm)].map(([, code]) => code ?? '')
}

// ---------------------------------------------------------------------------------- public exports

/** The names that a door exports and whose declaration has no docstring: `name (path)`. */
export function undocumentedExports(
  door: SourceFile,
  files: readonly SourceFile[],
): readonly string[] {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const { module } = parseSync(door.path, door.text)
  return module.staticExports.flatMap(({ entries }) =>
    entries.flatMap(({ moduleRequest, importName, exportName }) => {
      const path = posix.join(posix.dirname(door.path), moduleRequest?.value ?? '')
      const file = byPath.get(path)
      const name = importName.name ?? exportName.name ?? '*'
      return file !== undefined && documentedNames(file).has(name) ? [] : [`${name} (${path})`]
    }),
  )
}

/** The exported names of a file that a docstring stands right above. */
function documentedNames(file: SourceFile): ReadonlySet<string> {
  const { program, comments } = parseSync(file.path, file.text)
  const docstringEnds = comments
    .filter(({ type, value }) => type === 'Block' && value.startsWith('*'))
    .map(({ end }) => end)
  const documented = new Set<string>()
  for (const statement of program.body) {
    if (statement.type !== 'ExportNamedDeclaration' || statement.declaration === null) continue
    const last = docstringEnds.findLast((end) => end <= statement.start)
    if (last === undefined || !onlyBlank(file.text.slice(last, statement.start))) continue
    const { declaration } = statement
    if (declaration.type === 'VariableDeclaration') {
      for (const { id } of declaration.declarations)
        if (id.type === 'Identifier') documented.add(id.name)
    } else if ('id' in declaration && declaration.id?.type === 'Identifier') {
      documented.add(declaration.id.name)
    }
  }
  return documented
}

/** Nothing but white space and line comments (a linter's directive may stand between a docstring and its declaration). */
function onlyBlank(text: string): boolean {
  return text.split('\n').every((line) => line.trim() === '' || line.trim().startsWith('//'))
}

// ---------------------------------------------------------------------------------------- machines

const MACHINE_PATH =
  /(?<![\w.~-])(\/(home|Users|root|work|mnt|media)\/[\w.-]+|[A-Z]:\\Users\\|\/tmp\/[a-z][\w.-]*\/)/

/** Places that name a folder of somebody's machine: `path:line match`. */
export function machinePaths(file: SourceFile): readonly string[] {
  return file.text.split('\n').flatMap((line, index) => {
    const match = MACHINE_PATH.exec(line)
    return match === null ? [] : [`${file.path}:${index + 1} ${match[0]}`]
  })
}

/** Links of a page to files that are not there: `path: target`. */
export function deadLinks(page: SourceFile, exists: (path: string) => boolean): readonly string[] {
  return [...page.text.matchAll(/\]\(([^)\s#]+)(#[^)]*)?\)/g)].flatMap(([, target]) => {
    if (target === undefined || /^[a-z]+:/.test(target)) return []
    const path = posix.join(posix.dirname(page.path), target)
    return exists(path) ? [] : [`${page.path}: ${target}`]
  })
}

// ------------------------------------------------------------------------------------------ places

function parsed(file: SourceFile): Node {
  return parseSync(file.path, file.text).program
}

function lineOf(file: SourceFile, at: number): number {
  return file.text.slice(0, at).split('\n').length
}
