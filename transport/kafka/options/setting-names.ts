/**
 * The names of Kafka's settings that are read here, and what is done about others. A setting that is
 * dropped in silence costs an hour, one with a password more than that.
 *
 * In the environment the prefix is our own, so whatever stands behind it was meant for us: an unknown
 * name is refused. In a properties file names that are not read are in order, for Java applications
 * have the same file and settings of their own; only one that is a single edit from a name that is
 * read is refused. No two names of Kafka's clients are that near to each other, so it is a slip.
 */
import { isOneEditAway, nearest } from '../../../model/nearest.ts'
import { misconfigured } from './misconfigured.ts'
import type { KafkaProperties } from './properties-file.ts'

/** All names that are read, in the order of docs/operations.md. */
export const SETTING_NAMES = [
  'bootstrap.servers',
  'client.id',
  'client.rack',
  'compression.type',
  'security.protocol',
  'sasl.mechanism',
  'sasl.jaas.config',
  'sasl.username',
  'sasl.password',
  'sasl.oauthbearer.token.endpoint.url',
  'ssl.truststore.type',
  'ssl.truststore.location',
  'ssl.truststore.certificates',
  'ssl.keystore.type',
  'ssl.keystore.location',
  'ssl.keystore.certificate.chain',
  'ssl.keystore.key',
  'ssl.keystore.password',
  'ssl.key.password',
  'ssl.endpoint.identification.algorithm',
  'request.timeout.ms',
  'default.api.timeout.ms',
  'socket.connection.setup.timeout.ms',
  'metadata.max.age.ms',
  'retry.backoff.ms',
  'retry.backoff.max.ms',
  'batch.size',
  'linger.ms',
  'delivery.timeout.ms',
  'transaction.timeout.ms',
  'fetch.max.wait.ms',
  'fetch.max.bytes',
  'max.partition.fetch.bytes',
] as const

/** A name that is read. */
export type SettingName = (typeof SETTING_NAMES)[number]

/** Settings as far as they are read: another name does not compile, so that none is read which the list lacks. */
export type KafkaSettings = Readonly<Partial<Record<SettingName, string>>>

const OURS = /^MILLRACE_KAFKA_(?=.)/
/** Variables behind the prefix that are no settings: the commands' name of a properties file. */
const NO_SETTINGS: ReadonlySet<string> = new Set(['CONFIG'])
/**
 * What Kubernetes sets for every service of a namespace, by the service's name: one for
 * `millrace-kafka-bootstrap` begins like a setting. Source: its page on environment variables of services.
 */
const OF_A_SERVICE = /^(?:.*_)?(?:SERVICE_(?:HOST|PORT(?:_.+)?)|PORT(?:_\d+_.+)?)$/

/** Refuses a name in the file at `path` that can only be a slip. Throws MILLRACE_KAFKA_MISCONFIGURED. */
export function checkFileNames(properties: KafkaProperties, path: string): void {
  for (const name of Object.keys(properties)) {
    if (isSettingName(name)) continue
    const meant = SETTING_NAMES.find((known) => isOneEditAway(name.toLowerCase(), known))
    if (meant === undefined) continue
    throw misconfigured(`${path} sets ${name}, which is no setting of Kafka's. Write ${meant}`)
  }
}

/** The settings that variables behind the prefix name; one that is set to nothing is not set. Throws MILLRACE_KAFKA_MISCONFIGURED for other names. */
export function environmentSettings(
  environment: Readonly<Record<string, string | undefined>>,
): KafkaProperties {
  const found: Record<string, string> = {}
  for (const [variable, value] of Object.entries(environment)) {
    const [prefix] = OURS.exec(variable) ?? []
    if (prefix === undefined || value === undefined || value === '') continue
    const own = variable.slice(prefix.length)
    if (NO_SETTINGS.has(own) || OF_A_SERVICE.test(own)) continue
    const name = own.toLowerCase().replaceAll('_', '.')
    if (!isSettingName(name)) throw unknownVariable(name, { variable, prefix })
    found[name] = value
  }
  return found
}

function unknownVariable(
  name: string,
  { variable, prefix }: { readonly variable: string; readonly prefix: string },
): Error {
  const meant = nearest(name, SETTING_NAMES)
  const remedy =
    meant === undefined
      ? 'Unset it; docs/operations.md lists those that are'
      : `Set ${prefix}${meant.toUpperCase().replaceAll('.', '_')} in its place, or unset it`
  return misconfigured(
    `${variable} is set in the environment, and ${name} is no setting that is read. ${remedy}`,
  )
}

function isSettingName(name: string): name is SettingName {
  return (SETTING_NAMES as readonly string[]).includes(name)
}
