/** TLS and SASL from Kafka's settings. Certificates are read as PEM, the form that needs no Java to make. */
import { readFile } from 'node:fs/promises'
import type { Clock } from '../../../model/clock.ts'
import { misconfigured } from './misconfigured.ts'
import { clientCredentials } from './oauth-token.ts'
import type { KafkaProperties } from './properties-file.ts'
import type { KafkaSasl, KafkaTls } from './security.ts'

/** What the settings ask for. Rejects with MILLRACE_KAFKA_MISCONFIGURED. */
export async function securityOf(
  properties: KafkaProperties,
  clock: Clock,
): Promise<{ readonly tls: KafkaTls | undefined; readonly sasl: KafkaSasl | undefined }> {
  const protocol = (properties['security.protocol'] ?? 'PLAINTEXT').toUpperCase()
  if (!PROTOCOLS.has(protocol)) {
    throw misconfigured(
      `security.protocol is ${protocol}. It is one of ${[...PROTOCOLS].join(', ')}`,
    )
  }
  return {
    tls: protocol.endsWith('SSL') ? await tlsOf(properties) : undefined,
    sasl: protocol.startsWith('SASL') ? saslOf(properties, clock) : undefined,
  }
}

const PROTOCOLS: ReadonlySet<string> = new Set(['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL'])

async function tlsOf(properties: KafkaProperties): Promise<KafkaTls> {
  const ca = await pem(properties, { kind: 'truststore', inline: 'ssl.truststore.certificates' })
  const chain = 'ssl.keystore.certificate.chain'
  const keystore = await pem(properties, { kind: 'keystore', inline: chain })
  const key = properties['ssl.keystore.key'] ?? keystore
  const passphrase = properties['ssl.key.password'] ?? properties['ssl.keystore.password']
  // Kafka's way to say that a certificate may be for another name.
  const anyName = properties['ssl.endpoint.identification.algorithm'] === ''
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
  properties: KafkaProperties,
  { kind, inline }: { readonly kind: 'truststore' | 'keystore'; readonly inline: string },
): Promise<string | undefined> {
  const text = properties[inline]
  if (text !== undefined) return text
  const path = properties[`ssl.${kind}.location`]
  if (path === undefined) return undefined
  const type = (properties[`ssl.${kind}.type`] ?? 'JKS').toUpperCase()
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

function saslOf(properties: KafkaProperties, clock: Clock): KafkaSasl {
  const mechanism = (properties['sasl.mechanism'] ?? 'GSSAPI').toUpperCase()
  const jaas = jaasOptions(properties['sasl.jaas.config'] ?? '')
  switch (mechanism) {
    case 'PLAIN':
    case 'SCRAM-SHA-256':
    case 'SCRAM-SHA-512': {
      const username = properties['sasl.username'] ?? jaas['username']
      const password = properties['sasl.password'] ?? jaas['password']
      if (username !== undefined && password !== undefined) return { mechanism, username, password }
      throw misconfigured(
        `${mechanism} needs a user name and a password. Set sasl.jaas.config, or sasl.username and sasl.password`,
      )
    }
    case 'OAUTHBEARER': {
      const url = properties['sasl.oauthbearer.token.endpoint.url']
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
