/**
 * How to reach a cluster, from where people have it already: a .properties file of Kafka's tools, the
 * environment, and options in code. Later ones win: file, environment, code.
 *
 * The environment spells the same names with underscores behind a prefix, as Kafka's images do:
 * MILLRACE_KAFKA_BOOTSTRAP_SERVERS is `bootstrap.servers`. So there is one table of names to know.
 */
import { readFile } from 'node:fs/promises'
import type { Clock } from '../../../model/clock.ts'
import { COMPRESSION_ID, type Compression } from '../codecs.ts'
import type { FetchLimits } from '../reader/fetch-limits.ts'
import type { Address } from '../kafka-errors.ts'
import type { KafkaLimits } from '../limits.ts'
import { misconfigured } from './misconfigured.ts'
import type { ProducerLimits } from '../producer/producer-limits.ts'
import { parseProperties, type KafkaProperties } from './properties-file.ts'
import { securityOf } from './security-properties.ts'
import type { KafkaSasl, KafkaTls } from './security.ts'
import {
  checkFileNames,
  environmentSettings,
  type KafkaSettings,
  type SettingName,
} from './setting-names.ts'

/** How a Kafka cluster is reached. */
export interface KafkaOptions {
  /** `host:port` of at least one broker, several with commas between or as a list; the others are learned. */
  readonly brokers: string | readonly string[]
  /** What brokers call this client in their logs and quotas. Default `millrace`. */
  readonly clientId?: string
  /** True is TLS with the system's authorities. */
  readonly tls?: boolean | KafkaTls
  readonly sasl?: KafkaSasl
  /** The rack, as brokers name theirs: records are fetched from a replica in it where there is one. */
  readonly rack?: string
  /** Copies of each topic that is created. Default: what the brokers have as theirs. */
  readonly replicationFactor?: number
  /** How batches of records are compressed. Default: not at all. */
  readonly compression?: Compression
  /** Limits of connections and calls. */
  readonly limits?: Partial<KafkaLimits>
  /** Limits of each producer. */
  readonly producer?: Partial<ProducerLimits>
  /** Limits of each reader. */
  readonly reader?: Partial<FetchLimits>
  /** Gives up opening; a log that is open heeds it no more. */
  readonly signal?: AbortSignal
  readonly clock: Clock
}

/** Where options come from. */
export interface OptionSources {
  /** The path of a .properties file, as Kafka's tools read it. */
  readonly propertiesFile?: string
  /** For instance `process.env`. */
  readonly environment?: Readonly<Record<string, string | undefined>>
  /** Time for tokens, and for whatever is opened with the options. */
  readonly clock: Clock
}

/**
 * Options from a file and the environment, over which `own` go. Rejects with
 * MILLRACE_KAFKA_MISCONFIGURED where they contradict each other, name no broker, or set what would
 * have no effect: setting-names.ts and security-properties.ts say what is found out.
 *
 * @example await openKafka(await readKafkaOptions({ propertiesFile: 'client.properties', environment: process.env, clock }))
 */
export async function readKafkaOptions(
  { propertiesFile, environment = {}, clock }: OptionSources,
  own: Partial<KafkaOptions> = {},
): Promise<KafkaOptions> {
  const properties: KafkaProperties = {
    ...(propertiesFile === undefined ? {} : await readProperties(propertiesFile)),
    ...environmentSettings(environment),
  }
  const settings: KafkaSettings = properties
  const brokers = own.brokers ?? settings['bootstrap.servers']
  if (brokers === undefined) {
    throw misconfigured('no broker is named. Set bootstrap.servers, or give brokers')
  }
  const { tls, sasl } = await securityOf(properties, { clock, own })
  return {
    clock,
    ...textOption(settings, 'client.id', 'clientId'),
    ...textOption(settings, 'client.rack', 'rack'),
    ...(tls === undefined ? {} : { tls }),
    ...(sasl === undefined ? {} : { sasl }),
    ...compressionOf(settings),
    ...own,
    brokers,
    limits: { ...numbersOf(properties, LIMITS), ...own.limits },
    producer: { ...numbersOf(properties, PRODUCER), ...own.producer },
    reader: { ...numbersOf(properties, READER), ...own.reader },
  }
}

/** The addresses of `host:port,host:port`, `[::1]:9092` among them. Throws MILLRACE_KAFKA_MISCONFIGURED. */
export function parseBrokers(brokers: string | readonly string[]): readonly Address[] {
  const all = typeof brokers === 'string' ? brokers.split(',') : brokers
  const named = all.map((one) => one.trim()).filter((one) => one !== '')
  if (named.length === 0)
    throw misconfigured('no broker is named. Set bootstrap.servers, or give brokers')
  return named.map(parseBroker)
}

/** `host:port`, with a listener's name before it as brokers' own settings have it. */
function parseBroker(text: string): Address {
  const found = /^(?:[A-Za-z_]+:\/\/)?(?:\[([^\]]+)\]|([^:[\]/]+)):(\d{1,5})$/.exec(text)
  const [, v6, name, digits] = found ?? []
  const host = v6 ?? name
  const port = Number(digits)
  if (host === undefined || !(port > 0 && port < 65_536)) {
    throw misconfigured(
      `${JSON.stringify(text)} is no address. Write host:port, for instance localhost:9092`,
    )
  }
  return { host, port }
}

async function readProperties(path: string): Promise<KafkaProperties> {
  const properties = parseProperties(await textOf(path))
  checkFileNames(properties, path)
  return properties
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw misconfigured(
      `the properties file ${path} cannot be read. Check its path and rights`,
      error,
    )
  }
}

/** Names of this side by Kafka's. */
type SettingTable<Name> = Readonly<Partial<Record<SettingName, Name>>>

/** Kafka's names of those limits that mean the same here. */
const LIMITS: SettingTable<keyof KafkaLimits> = {
  'request.timeout.ms': 'requestDeadlineMs',
  'default.api.timeout.ms': 'callDeadlineMs',
  'socket.connection.setup.timeout.ms': 'connectDeadlineMs',
  'metadata.max.age.ms': 'metadataMaxAgeMs',
  'retry.backoff.ms': 'retryMinMs',
  'retry.backoff.max.ms': 'retryMaxMs',
}

/**
 * Not `buffer.memory`, though it is a bound on queued bytes as `producerBytes` is: Kafka's producers wait
 * at theirs, whatever its size, and ours refuses a record, which ends the transaction. The 32 MiB that
 * Java applications share would be passed by what one commit may hold, again at every try.
 */
const PRODUCER: SettingTable<keyof ProducerLimits> = {
  'batch.size': 'batchBytes',
  'linger.ms': 'lingerMs',
  'delivery.timeout.ms': 'deliveryTimeoutMs',
  'transaction.timeout.ms': 'transactionTimeoutMs',
}

const READER: SettingTable<keyof FetchLimits> = {
  'fetch.max.wait.ms': 'maxWaitMs',
  'fetch.max.bytes': 'responseMaxBytes',
  'max.partition.fetch.bytes': 'partitionMaxBytes',
}

/** The settings that a table names, as numbers under the names of this side. */
function numbersOf<Name extends string>(
  properties: KafkaProperties,
  table: SettingTable<Name>,
): Partial<Record<Name, number>> {
  const numbers = Object.entries(table).flatMap(([name, limit]) => {
    const text = properties[name]
    if (text === undefined) return []
    const value = Number(text)
    if (!Number.isSafeInteger(value) || value < 0 || text.trim() === '') {
      throw misconfigured(`${name} is ${JSON.stringify(text)}. It has to be a whole number`)
    }
    return [[limit, value]]
  })
  return Object.fromEntries(numbers) as Partial<Record<Name, number>>
}

function compressionOf(settings: KafkaSettings): Partial<KafkaOptions> {
  const name = settings['compression.type']
  if (name === undefined) return {}
  if (isCompression(name)) return { compression: name }
  const known = Object.keys(COMPRESSION_ID).join(', ')
  throw misconfigured(`compression.type is ${JSON.stringify(name)}. It is one of ${known}`)
}

function isCompression(name: string): name is Compression {
  return Object.hasOwn(COMPRESSION_ID, name)
}

function textOption(
  settings: KafkaSettings,
  name: 'client.id' | 'client.rack',
  option: 'clientId' | 'rack',
): Partial<KafkaOptions> {
  const value = settings[name]
  return value === undefined ? {} : { [option]: value }
}
