/**
 * Where a file reads time or randomness from the world instead of taking a Clock. One such read makes
 * a run that cannot be repeated from its seed, so all of them are behind runtime/system-clock.ts.
 */
import { parseSync, type Node } from 'oxc-parser'
import { walk } from './module-facts.ts'
import type { SourceFile } from './source-tree.ts'

const WORLDLY_GLOBALS = new Set(
  [
    'setTimeout',
    'setInterval',
    'setImmediate',
    'clearTimeout',
    'clearInterval',
    'clearImmediate',
  ].concat(['performance', 'crypto', 'Temporal', 'scheduler']),
)
const WORLDLY_MEMBERS = new Set(
  ['Date.now', 'Math.random', 'process.hrtime', 'process.uptime', 'AbortSignal.timeout'].concat([
    'os.uptime',
    'Atomics.wait',
    'Atomics.waitAsync',
    'console.time',
    'Bun.sleep',
  ]),
)
const WORLDLY_MODULES = new Set(['node:timers', 'node:timers/promises', 'node:perf_hooks'])
const WORLDLY_IMPORTS = new Set(
  [
    'randomUUID',
    'randomBytes',
    'randomInt',
    'randomFill',
    'randomFillSync',
    'getRandomValues',
    'webcrypto',
  ].concat(['uptime', 'hrtime', 'setTimeout', 'setInterval', 'setImmediate']),
)

/** Every place in a file that reads time or randomness from the world: `path:line what`. */
export function worldlyReads(file: SourceFile): readonly string[] {
  const found: string[] = []
  walk(parseSync(file.path, file.text).program, (node, ancestors) => {
    const what = worldlyRead(node, ancestors)
    if (what !== undefined)
      found.push(`${file.path}:${file.text.slice(0, node.start).split('\n').length} ${what}`)
  })
  return found
}

function worldlyRead(node: Node, ancestors: readonly Node[]): string | undefined {
  switch (node.type) {
    case 'Identifier':
      return WORLDLY_GLOBALS.has(node.name) && isValue(node, ancestors.at(-1))
        ? node.name
        : undefined
    case 'MemberExpression':
      return worldlyMember(node)
    case 'NewExpression':
      return node.arguments.length === 0 && isNamed(node.callee, 'Date') ? 'new Date()' : undefined
    case 'CallExpression':
      return isNamed(node.callee, 'Date') ? 'Date()' : undefined
    case 'ImportDeclaration':
      return node.importKind === 'type' ? undefined : worldlyImport(node)
    default:
      return undefined
  }
}

function worldlyMember(node: Extract<Node, { type: 'MemberExpression' }>): string | undefined {
  const property = nameOf(node.property)
  if (property === undefined) return undefined
  const path = `${nameOf(node.object) ?? ''}.${property}`
  if (WORLDLY_MEMBERS.has(path)) return path
  const global = isNamed(node.object, 'globalThis') || isNamed(node.object, 'global')
  const imported = isNamed(node.object, 'crypto') && WORLDLY_IMPORTS.has(property)
  return (global && WORLDLY_GLOBALS.has(property)) || imported ? path : undefined
}

function worldlyImport(node: Extract<Node, { type: 'ImportDeclaration' }>): string | undefined {
  if (WORLDLY_MODULES.has(node.source.value)) return node.source.value
  for (const specifier of node.specifiers) {
    const name = specifier.type === 'ImportSpecifier' ? nameOf(specifier.imported) : undefined
    if (name !== undefined && WORLDLY_IMPORTS.has(name)) return name
  }
  return undefined
}

/** Whether an identifier is read as a value, and not the name of a property, a member or a type. */
function isValue(node: Node, parent: Node | undefined): boolean {
  if (parent === undefined) return true
  if (parent.type === 'MemberExpression') return parent.computed || parent.object === node
  if (parent.type === 'Property')
    return parent.shorthand || parent.computed || parent.value === node
  const named = ['MethodDefinition', 'PropertyDefinition', 'ImportSpecifier', 'ExportSpecifier']
  return !named.includes(parent.type) && !parent.type.startsWith('TS')
}

function nameOf(node: Node): string | undefined {
  if (node.type === 'Identifier') return node.name
  return node.type === 'Literal' && typeof node.value === 'string' ? node.value : undefined
}

function isNamed(node: Node, name: string): boolean {
  return node.type === 'Identifier' && node.name === name
}
