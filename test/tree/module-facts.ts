/**
 * What a module asks of others, read from its syntax tree: static, type-only and dynamic imports,
 * `import('…')` types, `import x = require('…')`, `require` and resolve calls, and re-exports in
 * either spelling. A path that is computed cannot be judged and is reported as such.
 */
import { parseSync, visitorKeys, type Node } from 'oxc-parser'
import type { SourceFile } from './source-tree.ts'

/** One request for another module. */
export interface ModuleRequest {
  /** Undefined where it is computed at run time. */
  readonly specifier: string | undefined
  readonly line: number
}

/** What was found in one module. */
export interface ModuleFacts {
  readonly requests: readonly ModuleRequest[]
  /** Lines of exports that only pass on what another module exports. */
  readonly reExportLines: readonly number[]
}

/** Reads a module's requests and re-exports. Throws where the file has a syntax error. */
export function moduleFacts(file: SourceFile): ModuleFacts {
  const { program, module, errors } = parseSync(file.path, file.text)
  const [error] = errors
  if (error !== undefined) throw new SyntaxError(`${file.path}: ${error.message}`)
  const lineOf = (at: number): number => file.text.slice(0, at).split('\n').length
  const requests: ModuleRequest[] = []
  const reExportLines: number[] = []
  for (const { moduleRequest } of module.staticImports) {
    requests.push({ specifier: moduleRequest.value, line: lineOf(moduleRequest.start) })
  }
  for (const { moduleRequest, start } of module.staticExports.flatMap(({ entries }) => entries)) {
    if (moduleRequest === null) continue
    requests.push({ specifier: moduleRequest.value, line: lineOf(start) })
    reExportLines.push(lineOf(start))
  }
  walk(program, (node) => {
    const target = requestedBy(node)
    if (target !== undefined)
      requests.push({ specifier: literalOf(target), line: lineOf(node.start) })
  })
  return { requests, reExportLines }
}

/** Calls `visit` for `node` and everything below it, parents first, with the chain of its ancestors, nearest last. */
export function walk(
  node: Node,
  visit: (node: Node, ancestors: readonly Node[]) => void,
  ancestors: readonly Node[] = [],
): void {
  visit(node, ancestors)
  const below = [...ancestors, node]
  for (const key of visitorKeys[node.type] ?? []) {
    const value = (node as unknown as Record<string, unknown>)[key]
    for (const child of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (isNode(child)) walk(child, visit, below)
    }
  }
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value
}

/** The expression that names the module which `node` asks for, where it asks for one beside import and export statements. */
function requestedBy(node: Node): Node | undefined {
  if (node.type === 'ImportExpression') return node.source
  if (node.type === 'TSImportType') return node.source
  if (node.type === 'TSExternalModuleReference') return node.expression
  if (node.type === 'CallExpression' && isLoader(node.callee)) return node.arguments[0]
  return undefined
}

/** `require`, `require.resolve`, `import.meta.resolve`, and the function that `createRequire` returns. */
function isLoader(callee: Node): boolean {
  if (callee.type === 'Identifier') return callee.name === 'require'
  if (callee.type === 'CallExpression') {
    return callee.callee.type === 'Identifier' && callee.callee.name === 'createRequire'
  }
  if (callee.type !== 'MemberExpression' || callee.computed) return false
  if (callee.property.type !== 'Identifier' || callee.property.name !== 'resolve') return false
  return callee.object.type === 'MetaProperty' || isLoader(callee.object)
}

function literalOf(node: Node): string | undefined {
  if (node.type === 'Literal' && typeof node.value === 'string') return node.value
  const plain = node.type === 'TemplateLiteral' && node.expressions.length === 0
  return plain ? (node.quasis[0]?.value.cooked ?? undefined) : undefined
}
