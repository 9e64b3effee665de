/**
 * TLS and SASL from Kafka's settings. Certificates are read as PEM, the form that needs no Java to make.
 *
 * Kafka's own clients take no protocol as PLAINTEXT and drop the settings of TLS and SASL without a
 * word. Here a setting that the protocol makes no use of is refused: who sets a password means to use it.
 */
import { readFile } from 'node:fs/promises'
import type { Clock } from '../../../model/clock.ts'
import { misconfigured } from './misconfigured.ts'
import { clientCredentials } from './oauth-token.ts'
import type { KafkaProperties } from './properties-file.ts'
import type { KafkaSasl, KafkaTls } from './security.ts'
import type { KafkaSettings, SettingName } from './setting-names.ts'

/** What a caller has besides settings. */
export interface OwnSecurity {
  readonly clock: Clock
  /** What is given in code, and goes before settings of the same. */
  readonly own: { readonly tls?: unknown; readonly sasl?: unknown }
}

/** What the settings ask for. Rejects with MILLRACE_KAFKA_MISCONFIGURED. */
export async function securityOf(
  properties: KafkaProperties,
  { clock, own }: OwnSecurity,
): Promise<{ readonly tls: KafkaTls | undefined; readonly sasl: KafkaSasl | undefined }> {
  const settings: KafkaSettings = properties
  const named = settings['security.protocol']?.toUpperCase()
  const protocol = named ?? 'PLAINTEXT'
  if (!PROTOCOLS.has(protocol)) {
    throw misconfigured(
      `security.protocol is ${protocol}. It is one of ${[...PROTOCOLS].join(', ')}`,
    )
  }
  const isTls = protocol.endsWith('SSL')
  const isSasl = protocol.startsWith('SASL')
  const names = Object.keys(properties)
  const unused =
    (isSasl || own.sasl !== undefined
      ? undefined
      : names.find((name) => name.startsWith('sasl.'))) ??
    (isTls || own.tls !== undefined ? undefined : names.find((name) => name.startsWith('ssl.')))
  if (unused !== undefined) throw withoutUse(unused, named)
  return {
    tls: isTls ? await tlsOf(settings) : undefined,
    sasl: isSasl ? saslOf(settings, clock) : undefined,
  }
}

/** The error for the setting `name`, which the protocol `named` makes no use of. */
function withoutUse(name: string, named: string | undefined): Error {
  const is = named === undefined ? 'no security.protocol is set' : `security.protocol is ${named}`
  const remedy = name.startsWith('ssl.')
    ? `Set security.protocol to ${named === 'SASL_PLAINTEXT' ? 'SASL_SSL' : 'SSL, or to SASL_SSL where the brokers want SASL too'}`
    : `Set security.protocol to SASL_SSL${named === 'SSL' ? '' : ', or to SASL_PLAINTEXT where the brokers have no TLS'}`
  return misconfigured(
    `${name} is set, but ${is}, which makes no use of it. ${remedy}; or take ${name} out`,
  )
}

const PROTOCOLS: ReadonlySet<string> = new Set(['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'])

async function tlsOf(settings: KafkaSettings): Promise<KafkaTls> {
  const ca = await pem(settings, { kind: 'truststore', inline: 'ssl.truststore.certificates' })
  const chain = 'ssl.keystore.certificate.chain'
  const keystore = await pem(settings, { kind: 'keystore', inline: chain })
  const key = settings['ssl.keystore.key'] ?? keystore
  const passphrase = settings['ssl.key.password'] ?? settings['ssl.keystore.password']
  // Kafka's way to say that a certificate may be for another name.
  const anyName = settings['ssl.endpoint.identification.algorithm'] === ''
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(keystore === undefined ? {} : { cert: keystore }),
    ...(key === undefined ? {} : { key }),
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(anyName ? { verifyName: false } : {}),
  }
}

/** PEM in a setting, or in the file that another names. */
async function pem(
  settings: KafkaSettings,
  { kind, inline }: { readonly kind: 'truststore' | 'keystore'; readonly inline: SettingName },
): Promise<string | undefined> {
  const text = settings[inline]
  if (text !== undefined) return text
  const path = settings[`ssl.${kind}.location`]
  if (path === undefined) return undefined
  const type = (settings[`ssl.${kind}.type`] ?? 'JKS').toUpperCase()
  if (type !== 'PEM') {
    throw misconfigured(
      `ssl.${kind}.type is ${type}, and only PEM is read. Export it (keytool -importkeystore -deststoretype PKCS12, then openssl pkcs12 -nodes) and set the type to PEM`,
    )
  }
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw misconfigured(
      `ssl.${kind}.location ${path} cannot be read. Check its path and rights`,
      error,
    )
  }
}

function saslOf(settings: KafkaSettings, clock: Clock): KafkaSasl {
  const mechanism = (settings['sasl.mechanism'] ?? 'GSSAPI').toUpperCase()
  const jaas = jaasOptions(settings['sasl.jaas.config'] ?? '')
  switch (mechanism) {
    case 'PLAIN':
    case 'SCRAM-SHA-256':
    case 'SCRAM-SHA-512': {
      const username = settings['sasl.username'] ?? jaas['username']
      const password = settings['sasl.password'] ?? jaas['password']
      if (username !== undefined && password !== undefined) return { mechanism, username, password }
      throw misconfigured(
        `${mechanism} needs a user name and a password. Set sasl.jaas.config, or sasl.username and sasl.password`,
      )
    }
    case 'OAUTHBEARER': {
      const url = settings['sasl.oauthbearer.token.endpoint.url']
      const { clientId, clientSecret, scope } = jaas
      if (url !== undefined && clientId !== undefined && clientSecret !== undefined) {
        return {
          mechanism,
          token: clientCredentials({ url, clientId, clientSecret, scope, clock }),
        }
      }
      throw misconfigured(
        'OAUTHBEARER needs sasl.oauthbearer.token.endpoint.url, and clientId and clientSecret in sasl.jaas.config; or give a token function in code',
      )
    }
    default:
      throw misconfigured(
        `sasl.mechanism is ${mechanism}. PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER are known`,
      )
  }
}

/** The options of a login module: `… required username="ann" password="a\"b";` */
function jaasOptions(config: string): Readonly<Record<string, string | undefined>> {
  const options: Record<string, string> = {}
  for (const [, name = '', quoted, plain] of config.matchAll(
    /([\w.]+)\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^\s;"]+))/gsu,
  )) {
    options[name] = quoted?.replace(/\\(.)/gsu, '$1') ?? plain ?? ''
  }
  return options
}
