/** A Kafka cluster as the log of a command, with the registry that was named beside it. */
import type { Clock } from '../model/clock.ts'
import { MillraceError } from '../model/errors.ts'
import { httpRegistry } from '../serdes/http-registry.ts'
import type { Registry } from '../serdes/registry.ts'
import { brokerSettings, type BrokerSettings } from '../transport/kafka/options/broker-settings.ts'
import { readKafkaOptions } from '../transport/kafka/options/kafka-options.ts'
import { openKafka } from '../transport/kafka/open.ts'
import { given } from './given.ts'
import type { KafkaPlace, SchemasPlace } from './log-place.ts'
import type { OpenLog, OpenLogOptions } from './open-log.ts'
import { sharedSchemas } from './shared-schemas.ts'
import { usageError } from './usage-error.ts'

/** What a command may know of the cluster beyond the log. */
export interface OpenCluster {
  /** As they were named: `host:port,host:port`. */
  readonly brokers: string
  readonly propertiesFile: string | undefined
  /** The settings `names` of each broker. */
  brokerSettings(names: readonly string[]): Promise<readonly BrokerSettings[]>
}

/** Opens the cluster; what is wrong with the way to it is said at once. */
export async function openKafkaLog(
  place: KafkaPlace,
  { clock, needsSchemas = false, replication, signal }: OpenLogOptions,
): Promise<OpenLog> {
  const { brokers, propertiesFile, environment, schemas } = place
  if (needsSchemas && schemas.kind === 'none') throw usageError(SCHEMAS_NEEDED)
  const sources = { environment, clock, ...given({ propertiesFile }) }
  const options = await readKafkaOptions(
    sources,
    given({ brokers, replicationFactor: replication }),
  )
  const registry = openRegistry(schemas, clock)
  const transport = await openKafka({ ...options, ...given({ signal }) })
  return {
    transport,
    registry,
    cluster: {
      brokers: typeof options.brokers === 'string' ? options.brokers : options.brokers.join(),
      propertiesFile,
      brokerSettings: (names) => brokerSettings(options, names),
    },
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  }
}

const SCHEMAS_NEEDED =
  'records in Avro need a place for their schemas: give --registry URL, or on one machine --schemas FILE'

function openRegistry(schemas: SchemasPlace, clock: Clock): Registry {
  switch (schemas.kind) {
    case 'registry':
      return httpRegistry({ urls: schemas.urls, clock, ...given({ auth: schemas.auth }) })
    case 'file':
      return sharedSchemas(schemas.path, clock)
    case 'none':
      return { register: refuse, schemaById: refuse }
    default:
      return schemas satisfies never
  }
}

/** A pipeline that has no Avro needs no registry: it is asked for only then. */
async function refuse(): Promise<never> {
  throw new MillraceError('MILLRACE_REGISTRY_MISSING', SCHEMAS_NEEDED)
}
