/**
 * Types that the signatures of public exports speak of while no door exports them: who writes a
 * function that takes or returns one has no word for it. Read from the syntax alone, so what a
 * signature infers is not seen; bodies, values and private members are no signatures.
 */
import { posix } from 'node:path'
import { parseSync, type Node } from 'oxc-parser'
import { walk } from './module-facts.ts'
import type { SourceFile } from './source-tree.ts'

/** Where a name is declared: `path#name`. */
type Place = string

/** The types that signatures behind `doors` name and no door exports, `insides` aside: `Name (path), of Export`. */
export function namelessTypes(
  doors: readonly SourceFile[],
  files: readonly SourceFile[],
  insides: ReadonlySet<string> = new Set(),
): readonly string[] {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const modules = new Map<string, Module | undefined>()
  const moduleAt = (path: string): Module | undefined => {
    const file = byPath.get(path)
    if (!modules.has(path)) modules.set(path, file && moduleOf(file))
    return modules.get(path)
  }
  const named = new Map(doors.flatMap((door) => [...exportsOf(door)]))
  const found = new Map<Place, string>()
  for (const [place, exported] of named) {
    const [path = '', name = ''] = place.split('#')
    const module = moduleAt(path)
    const declaration = module?.exported.get(name)
    if (module === undefined || declaration === undefined) continue
    for (const type of typesOf(declaration)) {
      const at = module.imported.get(type) ?? `${path}#${type}`
      const [home = '', own = ''] = at.split('#')
      const isOurs = moduleAt(home)?.exported.has(own) === true
      if (isOurs && !insides.has(own) && !named.has(at))
        found.set(at, `${own} (${home}), of ${exported}`)
    }
  }
  return [...found.values()].toSorted()
}

/** Places that a door exports, with the public name of each. */
function exportsOf(door: SourceFile): ReadonlyMap<Place, string> {
  const { module } = parseSync(door.path, door.text)
  const places = new Map<Place, string>()
  for (const { moduleRequest, importName, exportName } of module.staticExports.flatMap(
    ({ entries }) => entries,
  )) {
    const name = importName.name ?? ''
    places.set(`${resolved(door.path, moduleRequest?.value ?? '')}#${name}`, exportName.name ?? '')
  }
  return places
}

interface Module {
  readonly exported: ReadonlyMap<string, Node>
  /** Local names, with where they come from. */
  readonly imported: ReadonlyMap<string, Place>
}

function moduleOf(file: SourceFile): Module {
  const { program, module } = parseSync(file.path, file.text)
  const exported = new Map<string, Node>()
  for (const statement of program.body) {
    if (statement.type !== 'ExportNamedDeclaration' || statement.declaration === null) continue
    const { declaration } = statement
    if (declaration.type === 'VariableDeclaration') {
      for (const one of declaration.declarations)
        if (one.id.type === 'Identifier') exported.set(one.id.name, one.id)
    } else if ('id' in declaration && declaration.id?.type === 'Identifier') {
      exported.set(declaration.id.name, declaration)
    }
  }
  const imported = new Map<string, Place>()
  for (const { moduleRequest, entries } of module.staticImports) {
    for (const { importName, localName } of entries)
      imported.set(
        localName.value,
        `${resolved(file.path, moduleRequest.value)}#${importName.name}`,
      )
  }
  return { exported, imported }
}

/** The names of types in a signature. */
function typesOf(declaration: Node): ReadonlySet<string> {
  const types = new Set<string>()
  walk(declaration, (node, ancestors) => {
    if (ancestors.some((above, at) => isHidden(above, ancestors[at + 1] ?? node))) return
    if (node.type === 'TSTypeReference' && node.typeName.type === 'Identifier')
      types.add(node.typeName.name)
    const heritage = node.type === 'TSInterfaceHeritage' || node.type === 'TSClassImplements'
    if (heritage && node.expression.type === 'Identifier') types.add(node.expression.name)
  })
  return types
}

/** Whether `below` is a part of `node` that a caller does not see. */
function isHidden(node: Node, below: Node): boolean {
  if (node.type === 'PropertyDefinition' || node.type === 'MethodDefinition') {
    const isPrivate = node.accessibility === 'private' || node.key.type === 'PrivateIdentifier'
    return isPrivate || (node.type === 'PropertyDefinition' && below === node.value)
  }
  return below.type === 'BlockStatement'
}

function resolved(from: string, specifier: string): string {
  return specifier.startsWith('.') ? posix.join(posix.dirname(from), specifier) : specifier
}
