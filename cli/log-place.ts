/**
 * Which log a command works on: an embedded one, or a Kafka cluster with a registry. What the command
 * line says holds; where it names no log, the environment does, under the same names:
 * MILLRACE_EMBEDDED, MILLRACE_BROKERS, MILLRACE_KAFKA_CONFIG, MILLRACE_REGISTRY, MILLRACE_SCHEMAS.
 * Passwords come from files and the environment alone, since every user of a machine sees the command
 * lines of all others.
 */
import { join } from 'node:path'
import { variablesOf, type Environment, type Variables } from './environment.ts'
import { file, folder, optional, type ValueKind } from './options.ts'
import { usageError } from './usage-error.ts'

const brokers: ValueKind<string> = {
  placeholder: 'HOST:PORT',
  looksLike: 'a broker such as localhost:9092, or several with commas between',
  parse: (given) =>
    /^\s*[^\s,]+:\d{1,5}\s*(,\s*[^\s,]+:\d{1,5}\s*)*$/.test(given) ? given : undefined,
}

const address: ValueKind<string> = {
  placeholder: 'URL',
  looksLike: 'an address such as http://registry:8081',
  parse: (given) => (given.split(',').every((one) => isHttp(one)) ? given : undefined),
}

/** The options that say where the log is. */
export const logOptions = {
  embedded: optional(folder, 'the folder of an embedded log, or'),
  brokers: optional(brokers, 'a Kafka cluster, by one broker or several'),
  'kafka-config': optional(file, 'how to reach the cluster: a .properties file of Kafka clients'),
  registry: optional(address, "with Kafka: the schema registry (Confluent's API)"),
  schemas: optional(file, 'with Kafka, on one machine: a file in place of a schema registry'),
}

/** The values of `logOptions`. */
export interface LogOptions {
  readonly embedded: string | undefined
  readonly brokers: string | undefined
  readonly 'kafka-config': string | undefined
  readonly registry: string | undefined
  readonly schemas: string | undefined
}

/** Where a log is. */
export type LogPlace = EmbeddedPlace | KafkaPlace

/** An embedded log, which has its registry in its folder. */
export interface EmbeddedPlace {
  readonly kind: 'embedded'
  readonly folder: string
}

/** A Kafka cluster: what the command line says goes before the environment, and that before the file. */
export interface KafkaPlace {
  readonly kind: 'kafka'
  readonly brokers: string | undefined
  readonly propertiesFile: string | undefined
  readonly environment: Environment
  readonly schemas: SchemasPlace
}

/** Where schemas are kept for a cluster. */
export type SchemasPlace =
  | {
      readonly kind: 'registry'
      readonly urls: readonly string[]
      readonly auth: SchemasAuth | undefined
    }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'none' }

type SchemasAuth =
  | { readonly kind: 'basic'; readonly user: string; readonly password: string }
  | { readonly kind: 'bearer'; readonly token: string }

/** Where the log of a command is. Throws MILLRACE_USAGE where that is not said, or said twice. */
export function logPlaceOf(options: LogOptions, environment: Environment = process.env): LogPlace {
  const { embedded } = options
  const cluster = optionNamed(options, ['brokers', 'kafka-config'])
  if (embedded !== undefined && cluster !== undefined) {
    throw usageError(`--embedded and --${cluster} name two logs: give one of them`)
  }
  if (embedded !== undefined) return embeddedPlace(embedded, options)
  if (cluster !== undefined) return kafkaPlace(options, environment)
  const variables = variablesOf(environment)
  const { MILLRACE_EMBEDDED: folderOfEnvironment } = variables
  const named = clusterVariable(variables)
  if (folderOfEnvironment !== undefined && named !== undefined) {
    throw usageError(
      `MILLRACE_EMBEDDED and ${named} are both set and name two logs: unset one, or give --embedded or --brokers`,
    )
  }
  if (folderOfEnvironment !== undefined) return embeddedPlace(folderOfEnvironment, options)
  if (named !== undefined) return kafkaPlace(options, environment)
  throw usageError(
    'a log is needed: give --embedded DIR for one on this machine, or --brokers HOST:PORT for a Kafka cluster',
  )
}

/** The folder of state that goes with a log: `given`, else one in the folder of an embedded log, else one where the command runs. */
export function stateFolderOf(place: LogPlace, given: string | undefined): string {
  if (given !== undefined) return given
  return place.kind === 'embedded' ? join(place.folder, 'state') : 'millrace-state'
}

/** What `--state` says in --help. */
export const STATE_HELP =
  'where state is kept; otherwise with an embedded log, or in millrace-state'

/** The name of a variable that names a cluster. */
function clusterVariable({
  MILLRACE_BROKERS,
  MILLRACE_KAFKA_CONFIG,
  MILLRACE_KAFKA_BOOTSTRAP_SERVERS,
}: Variables): string | undefined {
  const named = { MILLRACE_BROKERS, MILLRACE_KAFKA_CONFIG, MILLRACE_KAFKA_BOOTSTRAP_SERVERS }
  return Object.entries(named).find(([, value]) => value !== undefined)?.[0]
}

function embeddedPlace(path: string, options: LogOptions): EmbeddedPlace {
  const other = optionNamed(options, ['registry', 'schemas'])
  if (other === undefined) return { kind: 'embedded', folder: path }
  throw usageError(`--${other} goes with --brokers: an embedded log has its schemas in its folder`)
}

function kafkaPlace(options: LogOptions, environment: Environment): KafkaPlace {
  const variables = variablesOf(environment)
  return {
    kind: 'kafka',
    brokers: options.brokers ?? variables.MILLRACE_BROKERS,
    propertiesFile: options['kafka-config'] ?? variables.MILLRACE_KAFKA_CONFIG,
    environment,
    schemas: schemasPlace(options, variables),
  }
}

function schemasPlace(options: LogOptions, variables: Variables): SchemasPlace {
  const isNamed = options.registry !== undefined || options.schemas !== undefined
  const url = isNamed ? options.registry : variables.MILLRACE_REGISTRY
  const path = isNamed ? options.schemas : variables.MILLRACE_SCHEMAS
  if (url !== undefined && path !== undefined) {
    const two = isNamed ? '--registry and --schemas' : 'MILLRACE_REGISTRY and MILLRACE_SCHEMAS'
    throw usageError(`${two} name two places for schemas: give one of them`)
  }
  if (path !== undefined) return { kind: 'file', path }
  if (url === undefined) return { kind: 'none' }
  const urls = url.split(',').map((one) => one.trim())
  if (options.registry !== undefined && urls.some(hasPassword)) {
    throw usageError(
      '--registry has a password in it, which everybody on this machine can see: ' +
        'set MILLRACE_REGISTRY_USER and MILLRACE_REGISTRY_PASSWORD, or MILLRACE_REGISTRY_TOKEN, instead',
    )
  }
  return { kind: 'registry', urls, auth: schemasAuth(variables) }
}

function schemasAuth(variables: Variables): SchemasAuth | undefined {
  const { MILLRACE_REGISTRY_TOKEN: token, MILLRACE_REGISTRY_USER: user } = variables
  if (token !== undefined) return { kind: 'bearer', token }
  if (user === undefined) return undefined
  return { kind: 'basic', user, password: variables.MILLRACE_REGISTRY_PASSWORD ?? '' }
}

function optionNamed<Name extends keyof LogOptions>(
  options: LogOptions,
  names: readonly Name[],
): Name | undefined {
  return names.find((name) => options[name] !== undefined)
}

function isHttp(text: string): boolean {
  return /^https?:$/.test(URL.parse(text.trim())?.protocol ?? '')
}

function hasPassword(text: string): boolean {
  return (URL.parse(text)?.password ?? '') !== ''
}
