/** What a test broker is told: its listeners, its folders, and who may do what. */
import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** The ports of one node. */
export interface NodePorts {
  readonly plain: number
  readonly controller: number
  readonly secure: number
  readonly mutual: number
  /** Of nobody but a test that wants a listener more. */
  readonly spare: number
}

/** A listener that a node has beside its plain one, for clients without a login. */
export interface OtherListener {
  /** In capitals. */
  readonly name: string
  readonly port: number
  /** The address, host:port, that the node tells its clients. */
  readonly advertised: string
}

/** Who may do everything, over SASL_SSL with PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512. */
export const SUPER_USER = { username: 'ann', password: 'ann-secret' } as const
/** Who has no rights but those that a test gives. */
export const PLAIN_USER = { username: 'bob', password: 'bob-secret' } as const

const run = promisify(execFile)

interface Place {
  readonly node: { readonly id: number; readonly ports: NodePorts; readonly home: string }
  readonly all: readonly NodePorts[]
  readonly secure: boolean
  /** Where the certificate lies. */
  readonly folder: string
}

/** The properties of one node of a cluster. */
export function nodeProperties(place: Place): Readonly<Record<string, string>> {
  const { node, all, secure } = place
  const plain = `PLAINTEXT://127.0.0.1:${node.ports.plain}`
  const { ports } = node
  const more = `SASL_SSL://127.0.0.1:${ports.secure},SSL://127.0.0.1:${ports.mutual}`
  const shown = secure ? `${plain},${more}` : plain
  const replicas = String(all.length)
  return {
    'process.roles': 'broker,controller',
    'node.id': String(node.id),
    'controller.quorum.voters': all
      .map((own, at) => `${at + 1}@127.0.0.1:${own.controller}`)
      .join(),
    listeners: `${shown},CONTROLLER://127.0.0.1:${node.ports.controller}`,
    'advertised.listeners': shown,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map':
      'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL',
    'inter.broker.listener.name': 'PLAINTEXT',
    'broker.rack': `rack-${node.id}`,
    'log.dirs': join(node.home, 'data'),
    'default.replication.factor': replicas,
    'min.insync.replicas': all.length > 1 ? '2' : '1',
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': '8',
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': all.length > 1 ? '2' : '1',
    'transaction.state.log.num.partitions': '8',
    'group.initial.rebalance.delay.ms': '0',
    // Tests want short sessions, and transactions whose time is up to be aborted soon.
    'group.min.session.timeout.ms': '500',
    'transaction.abort.timed.out.transaction.cleanup.interval.ms': '500',
    // Quotas go by the last two seconds, and not by ten.
    'quota.window.num': '3',
    'auto.create.topics.enable': 'false',
    'message.max.bytes': '33554432',
    'replica.fetch.max.bytes': '33554432',
    'socket.request.max.bytes': '209715200',
    ...QUICK_TO_NOTICE,
    ...(secure ? security(place) : {}),
  }
}

/** What a node without security is told beside or in place of that, to have such listeners. */
export function withListeners(
  { plain, controller }: NodePorts,
  others: readonly OtherListener[],
): Readonly<Record<string, string>> {
  const own = `PLAINTEXT://127.0.0.1:${plain}`
  const bound = others.map(({ name, port }) => `${name}://127.0.0.1:${port}`)
  const shown = others.map(({ name, advertised }) => `${name}://${advertised}`)
  const protocols = ['CONTROLLER', 'PLAINTEXT', ...others.map(({ name }) => name)]
  return {
    listeners: [own, ...bound, `CONTROLLER://127.0.0.1:${controller}`].join(),
    'advertised.listeners': [own, ...shown].join(),
    'listener.security.protocol.map': protocols.map((name) => `${name}:PLAINTEXT`).join(),
  }
}

/** A dead node is noticed within seconds; a node that was killed is not taken back before. */
const QUICK_TO_NOTICE = {
  'broker.session.timeout.ms': '3000',
  'broker.heartbeat.interval.ms': '500',
  'controller.quorum.election.timeout.ms': '1000',
  'controller.quorum.fetch.timeout.ms': '2000',
  'replica.lag.time.max.ms': '3000',
  // A follower of a halted leader goes on to the next one: the log takes no writes before.
  'replica.socket.timeout.ms': '2000',
}

/** Arguments of the formatting tool that bring the users of SCRAM. */
export function scramArguments(): readonly string[] {
  return [SUPER_USER, PLAIN_USER].flatMap(({ username, password }) =>
    ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
      '--add-scram',
      `${mechanism}=[name=${username},password=${password}]`,
    ]),
  )
}

/** Makes a key and a certificate for 127.0.0.1 and localhost that signs itself. */
export async function writeCertificate(
  folder: string,
): Promise<{ readonly certificate: string; readonly key: string }> {
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')]
  const names = 'subjectAltName=IP:127.0.0.1,DNS:localhost'
  const subject = ['-subj', '/CN=localhost', '-addext', names, '-days', '30']
  const files = ['-keyout', key, '-out', certificate]
  await run('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...subject, ...files])
  const written = {
    certificate: await readFile(certificate, 'utf8'),
    key: await readFile(key, 'utf8'),
  }
  await writeFile(join(folder, 'keystore.pem'), written.key + written.certificate)
  return written
}

function security({ folder }: Place): Readonly<Record<string, string>> {
  const login = 'org.apache.kafka.common.security'
  const users = [SUPER_USER, PLAIN_USER].map((user) => `user_${user.username}="${user.password}"`)
  const of = (mechanism: string): string => `listener.name.sasl_ssl.${mechanism}.sasl.jaas.config`
  const scram = `${login}.scram.ScramLoginModule required;`
  return {
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': join(folder, 'keystore.pem'),
    // A client that shows the broker's own certificate is let in, under its name.
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': join(folder, 'certificate.pem'),
    'listener.name.ssl.ssl.client.auth': 'required',
    [of('plain')]: `${login}.plain.PlainLoginModule required ${users.join(' ')};`,
    [of('scram-sha-256')]: scram,
    [of('scram-sha-512')]: scram,
    // Tokens that nobody signed: what is tested is how a client brings one.
    [of('oauthbearer')]:
      `${login}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`,
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users': `User:ANONYMOUS;User:CN=localhost;User:${SUPER_USER.username}`,
  }
}
