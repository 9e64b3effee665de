/** What the environment says in place of options, under names that all begin alike. */

/** Names and values, for instance `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>

/** The variables that commands read; MILLRACE_KAFKA_… besides are settings of Kafka (transport/kafka/options/kafka-options.ts). */
export interface Variables {
  readonly MILLRACE_EMBEDDED: string | undefined
  readonly MILLRACE_BROKERS: string | undefined
  readonly MILLRACE_KAFKA_CONFIG: string | undefined
  readonly MILLRACE_KAFKA_BOOTSTRAP_SERVERS: string | undefined
  readonly MILLRACE_REGISTRY: string | undefined
  readonly MILLRACE_REGISTRY_USER: string | undefined
  readonly MILLRACE_REGISTRY_PASSWORD: string | undefined
  readonly MILLRACE_REGISTRY_TOKEN: string | undefined
  readonly MILLRACE_SCHEMAS: string | undefined
  readonly MILLRACE_PARTITION: string | undefined
  readonly MILLRACE_OF: string | undefined
}

/** The variables of an environment. One that is set to nothing is not set: that is how scripts unset one. */
export function variablesOf(environment: Environment): Variables {
  const value = (text: string | undefined): string | undefined => (text === '' ? undefined : text)
  return {
    MILLRACE_EMBEDDED: value(environment['MILLRACE_EMBEDDED']),
    MILLRACE_BROKERS: value(environment['MILLRACE_BROKERS']),
    MILLRACE_KAFKA_CONFIG: value(environment['MILLRACE_KAFKA_CONFIG']),
    MILLRACE_KAFKA_BOOTSTRAP_SERVERS: value(environment['MILLRACE_KAFKA_BOOTSTRAP_SERVERS']),
    MILLRACE_REGISTRY: value(environment['MILLRACE_REGISTRY']),
    MILLRACE_REGISTRY_USER: value(environment['MILLRACE_REGISTRY_USER']),
    MILLRACE_REGISTRY_PASSWORD: value(environment['MILLRACE_REGISTRY_PASSWORD']),
    MILLRACE_REGISTRY_TOKEN: value(environment['MILLRACE_REGISTRY_TOKEN']),
    MILLRACE_SCHEMAS: value(environment['MILLRACE_SCHEMAS']),
    MILLRACE_PARTITION: value(environment['MILLRACE_PARTITION']),
    MILLRACE_OF: value(environment['MILLRACE_OF']),
  }
}
