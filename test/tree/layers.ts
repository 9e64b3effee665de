/**
 * The direction of imports, as a table and the rules that read it. Type imports and dynamic imports
 * count: a type that points upward makes the lower layer unreadable without the upper one. There is
 * no list of exceptions; where a rule is wrong, the table changes.
 */
import { posix } from 'node:path'
import { moduleFacts, type ModuleRequest } from './module-facts.ts'
import type { SourceFile } from './source-tree.ts'

/** The folders of the source, and how far up each stands. A file sees its own folder and those of lower rank; equal ranks are strangers. */
const RANKS: ReadonlyMap<string, number> = new Map([
  ['model', 0],
  ['serdes', 1],
  ['transport', 1],
  ['state', 2],
  ['processors', 3],
  ['topology', 4],
  ['runtime', 5],
  ['video', 6],
  ['testing', 6],
  ['cli', 7],
])

/** The public doors: they re-export, and nothing in the source imports them. */
const DOORS: ReadonlyMap<string, { readonly rank: number; readonly closed: readonly string[] }> =
  new Map([
    ['index.ts', { rank: 7, closed: ['testing'] }],
    ['testing.ts', { rank: 7, closed: [] }],
  ])

/** Where each outside package is met. A package that is not here is met nowhere. */
const PACKAGES: ReadonlyMap<string, RegExp> = new Map([
  ['avsc', /^serdes\/avro[a-z-]*\.ts$/],
  ['level', /^(state\/level-database\.ts|transport\/embedded\/[a-z-]+\.ts)$/],
  ['kafkajs', /^transport\/kafka\/cluster\/kafkajs-connection\.ts$/],
  ['lz4-napi', /^transport\/kafka\/codecs\.ts$/],
  ['snappy', /^transport\/kafka\/codecs\.ts$/],
  ['@node-rs/crc32', /^model\/crc32c\.ts$/],
  ['@google-cloud/video-intelligence', /^video\/annotators\/google[a-z-]*\.ts$/],
  ['google-gax', /^video\/annotators\/(google|local-server)[a-z-]*\.ts$/],
  ['@grpc/grpc-js', /^video\/annotators\/local-server[a-z-]*\.ts$/],
  ['@ffmpeg-installer/ffmpeg', /^video\/ffmpeg\.ts$/],
])

/** What is chosen at the edge: by the command line, the test driver, or the user through the doors. `home` sees it too. */
const ADAPTERS: readonly { readonly files: RegExp; readonly home: RegExp }[] = [
  { files: /^transport\/kafka\//, home: /^transport\/kafka\// },
  { files: /^transport\/embedded\//, home: /^transport\/embedded\// },
  { files: /^transport\/memory\//, home: /^transport\/memory\// },
  { files: /^serdes\/[a-z]+-registry\.ts$/, home: /^serdes\// },
  { files: /^state\/level-database\.ts$/, home: /^state\// },
  { files: /^video\/annotators\//, home: /^video\// },
]
const EDGE = /^(cli\/|testing\/|index\.ts$|testing\.ts$)/

/** Every breach in `files`, one sentence each, with the place in front. Files outside the layers (tests, examples, scripts) are only asked not to be imported. */
export function layerViolations(files: readonly SourceFile[]): readonly string[] {
  const known = new Set(files.map(({ path }) => path))
  return files
    .filter(({ path }) => rankOf(path) !== undefined)
    .flatMap((file) => breaches(file, known))
}

function breaches(file: SourceFile, known: ReadonlySet<string>): string[] {
  const { requests, reExportLines } = moduleFacts(file)
  const found = requests.flatMap((request) => {
    const breach = breachOf(file.path, request, known)
    return breach === undefined ? [] : [`${file.path}:${request.line} ${breach}`]
  })
  if (DOORS.has(file.path)) return found
  const again = reExportLines.map((line) => `${file.path}:${line} re-exports: only the doors do`)
  return [...found, ...again]
}

function breachOf(
  from: string,
  { specifier }: ModuleRequest,
  known: ReadonlySet<string>,
): string | undefined {
  if (specifier === undefined) {
    const free = folderOf(from) === 'cli'
    return free ? undefined : 'loads a module by a computed name, which cannot be judged'
  }
  if (specifier.startsWith('node:')) return undefined
  if (!specifier.startsWith('.')) return packageBreach(from, specifier)
  const to = posix.join(posix.dirname(from), specifier)
  if (!known.has(to)) return `imports ${to}, which is no source file`
  return directionBreach(from, to) ?? adapterBreach(from, to)
}

function packageBreach(from: string, specifier: string): string | undefined {
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
  if (name === 'millrace') {
    const own = folderOf(from) === 'cli'
    return own ? undefined : 'imports the package by its own name: use the file'
  }
  const door = PACKAGES.get(name)
  if (door === undefined) return `imports the package ${name}, which has no door`
  return door.test(from) ? undefined : `imports the package ${name} beside its door ${door.source}`
}

function directionBreach(from: string, to: string): string | undefined {
  const [here, there] = [rankOf(from), rankOf(to)]
  if (there === undefined) return `imports ${to}, which is not part of the source`
  if (here === undefined || folderOf(from) === folderOf(to)) return undefined
  if (DOORS.has(to)) return `imports the door ${to}: use the file behind it`
  const closed = DOORS.get(from)?.closed.includes(folderOf(to)) === true
  if (there < here && !closed) return undefined
  return `imports ${to}: ${folderOf(from)} (${here}) does not see ${folderOf(to)} (${there})`
}

function adapterBreach(from: string, to: string): string | undefined {
  const adapter = ADAPTERS.find(({ files }) => files.test(to))
  if (adapter === undefined || adapter.home.test(from) || EDGE.test(from)) return undefined
  return `imports the adapter ${to}: adapters are chosen at the edge`
}

function rankOf(path: string): number | undefined {
  return RANKS.get(folderOf(path)) ?? DOORS.get(path)?.rank
}

function folderOf(path: string): string {
  return path.split('/', 1)[0] ?? path
}
