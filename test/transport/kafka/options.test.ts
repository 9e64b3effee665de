import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../../runtime/system-clock.ts'
import {
  parseBrokers,
  readKafkaOptions,
  type KafkaOptions,
} from '../../../transport/kafka/options/kafka-options.ts'
import { parseProperties } from '../../../transport/kafka/options/properties-file.ts'
import { SETTING_NAMES } from '../../../transport/kafka/options/setting-names.ts'

const clock = systemClock()
const folder = await mkdtemp(join(tmpdir(), 'millrace-options-'))
afterAll(() => rm(folder, { recursive: true }))

async function fromFile(text: string, own: Partial<KafkaOptions> = {}): Promise<KafkaOptions> {
  const propertiesFile = join(folder, 'client.properties')
  await writeFile(propertiesFile, text)
  return await readKafkaOptions({ propertiesFile, clock }, own)
}

const MISCONFIGURED = { code: 'MILLRACE_KAFKA_MISCONFIGURED' }

describe('a properties file', () => {
  test.each([
    ['a=b', { a: 'b' }],
    ['a = b c ', { a: 'b c ' }],
    ['a:b', { a: 'b' }],
    ['a b', { a: 'b' }],
    ['  a=b', { a: 'b' }],
    ['a=', { a: '' }],
    ['a', { a: '' }],
    ['# no\n! no\n\na=b\r\nc=d', { a: 'b', c: 'd' }],
    ['a=b,\\\n   c', { a: 'b,c' }],
    ['a=b\\\\\nc=d', { a: 'b\\', c: 'd' }],
    ['a\\ b=c', { 'a b': 'c' }],
    ['a\\=b=c=d', { 'a=b': 'c=d' }],
    ['a=\\u00fc\\tb', { a: 'ü\tb' }],
    ['a=b\na=c', { a: 'c' }],
    ['a=b\\', { a: 'b' }],
  ])('%j is read as Java reads it', (text, expected) => {
    expect(parseProperties(text)).toEqual(expected)
  })
})

describe('addresses', () => {
  test.each([
    ['a:1', [{ host: 'a', port: 1 }]],
    [
      ' a:1 , b.c:9092,',
      [
        { host: 'a', port: 1 },
        { host: 'b.c', port: 9092 },
      ],
    ],
    [
      ['a:1', 'b:2'],
      [
        { host: 'a', port: 1 },
        { host: 'b', port: 2 },
      ],
    ],
    ['[::1]:9092', [{ host: '::1', port: 9092 }]],
    ['SASL_SSL://a:1', [{ host: 'a', port: 1 }]],
  ])('%j', (text, expected) => {
    expect(parseBrokers(text)).toEqual(expected)
  })

  test.each(['', 'a', 'a:', 'a:0', 'a:65536', 'a:b', ':1', 'a:1:2', 'http:/a:1'])(
    '%j is none',
    (text) => {
      expect(() => parseBrokers(text)).toThrow(expect.objectContaining(MISCONFIGURED) as Error)
    },
  )
})

describe('options', () => {
  test('come from a file, the environment and code, the later of which win', async () => {
    const propertiesFile = join(folder, 'all.properties')
    await writeFile(
      propertiesFile,
      'bootstrap.servers=a:1\nclient.id=file\nclient.rack=r\nrequest.timeout.ms=5\nlinger.ms=0\nfetch.max.bytes=7\ncompression.type=zstd',
    )
    const environment = {
      MILLRACE_KAFKA_CLIENT_ID: 'environment',
      MILLRACE_KAFKA_BOOTSTRAP_SERVERS: 'b:2',
      MILLRACE_KAFKA_CLIENT_RACK: '',
      MILLRACE_OTHER: 'x',
    }
    const read = await readKafkaOptions({ propertiesFile, environment, clock }, { brokers: 'c:3' })
    expect(read).toEqual({
      clock,
      brokers: 'c:3',
      clientId: 'environment',
      rack: 'r',
      compression: 'zstd',
      limits: { requestDeadlineMs: 5 },
      producer: { lingerMs: 0 },
      reader: { responseMaxBytes: 7 },
    })
  })

  test('name TLS with its certificates', async () => {
    const ca = join(folder, 'ca.pem')
    await writeFile(ca, 'THE CA')
    const read = await fromFile(
      `bootstrap.servers=a:1\nsecurity.protocol=SSL\nssl.truststore.type=PEM\nssl.truststore.location=${ca}\n` +
        'ssl.keystore.certificate.chain=CERT\nssl.keystore.key=KEY\nssl.key.password=p\n' +
        'ssl.endpoint.identification.algorithm=',
    )
    const tls = { ca: 'THE CA', cert: 'CERT', key: 'KEY', passphrase: 'p', verifyName: false }
    expect(read.tls).toEqual(tls)
    expect(read.sasl).toBeUndefined()
  })

  test('name a user as a login module has it', async () => {
    const read = await fromFile(
      'bootstrap.servers=a:1\nsecurity.protocol=SASL_SSL\nsasl.mechanism=SCRAM-SHA-512\n' +
        'sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \\\n' +
        '  username="ann" password="a=\\\\"b;c";',
    )
    expect(read.tls).toEqual({})
    expect(read.sasl).toEqual({ mechanism: 'SCRAM-SHA-512', username: 'ann', password: 'a="b;c' })
  })

  test.each([
    ['', /no broker/],
    ['bootstrap.servers=a:1\nsecurity.protocol=TLS', /SASL_SSL/],
    ['bootstrap.servers=a:1\nsecurity.protocol=SSL\nssl.truststore.location=x.jks', /JKS.*PEM/],
    ['bootstrap.servers=a:1\nsecurity.protocol=SASL_SSL', /GSSAPI.*SCRAM/],
    ['bootstrap.servers=a:1\nsecurity.protocol=SASL_SSL\nsasl.mechanism=PLAIN', /user name/],
    ['bootstrap.servers=a:1\nsecurity.protocol=SASL_SSL\nsasl.mechanism=OAUTHBEARER', /endpoint/],
    ['bootstrap.servers=a:1\nrequest.timeout.ms=soon', /request\.timeout\.ms.*number/],
    ['bootstrap.servers=a:1\ncompression.type=zip', /zip.*zstd/],
    [
      'bootstrap.servers=a:1\nsasl.jass.config=x',
      /client.properties.*sasl\.jass.*Write sasl\.jaas/,
    ],
    ['bootstrap.servers=a:1\nsecurity.protocl=SSL', /Write security\.protocol/],
    ['bootstrap.servers=a:1\nsasl.mechanism=PLAIN', /sasl\.mechanism.*no security.*SASL_SSL/],
    ['bootstrap.servers=a:1\nssl.keystore.key=K', /ssl\.keystore\.key.*to SSL/],
    [
      'bootstrap.servers=a:1\nsecurity.protocol=SSL\nsasl.username=a',
      /username.*is SSL.*SASL_SSL;/,
    ],
    [
      'bootstrap.servers=a:1\nsecurity.protocol=SASL_PLAINTEXT\nsasl.username=a\nssl.truststore.type=PEM',
      /truststore.*SASL_PLAINTEXT.*to SASL_SSL;/,
    ],
  ])('%j is refused with the remedy', async (text, says) => {
    await expect(fromFile(text)).rejects.toMatchObject({
      ...MISCONFIGURED,
      message: expect.stringMatching(says) as unknown,
    })
  })

  test('of Java applications in the same file are left to them', async () => {
    const text = 'foo.bar=1\nfetch.min.bytes=5\nacks=all\nbuffer.memory=33554432'
    const read = await fromFile(`bootstrap.servers=a:1\n${text}`)
    expect(read).toEqual({ clock, brokers: 'a:1', limits: {}, producer: {}, reader: {} })
  })

  test('in code go before those of TLS and SASL in a file, which then need no protocol', async () => {
    const sasl = { mechanism: 'PLAIN', username: 'ann', password: 'p' } as const
    const text = 'bootstrap.servers=a:1\nsasl.mechanism=PLAIN\nsasl.username=bob'
    expect(await fromFile(text, { sasl })).toMatchObject({ sasl })
    await expect(fromFile(text, { tls: true })).rejects.toMatchObject(MISCONFIGURED)
  })

  test.each([
    ['SASL_PASWORD', /_SASL_PASWORD .*Set MILLRACE_KAFKA_SASL_PASSWORD/],
    ['BOOTSTRAP_SERVER', /Set MILLRACE_KAFKA_BOOTSTRAP_SERVERS/],
    ['SASL_PASSWORD', /sasl\.password.*security\.protocol/],
    ['ACKS', /acks.*Unset it/],
    ['BUFFER_MEMORY', /buffer\.memory.*Unset it/],
    ['PORTS', /ports.*Unset it/],
  ])('that the environment has as %s are refused with the remedy', async (name, says) => {
    const environment = { [`MILLRACE_KAFKA_${name}`]: 'x' }
    await expect(
      readKafkaOptions({ environment, clock }, { brokers: 'a:1' }),
    ).rejects.toMatchObject({
      ...MISCONFIGURED,
      message: expect.stringMatching(says) as unknown,
    })
  })

  test('that are read are listed on the page for operators', async () => {
    const page = await readFile(new URL('../../../docs/operations.md', import.meta.url), 'utf8')
    expect(SETTING_NAMES.filter((name) => !page.includes(`\`${name}\``))).toEqual([])
  })

  test('are none of what Kubernetes says of services, nor the name of a file', async () => {
    const environment = {
      MILLRACE_KAFKA_CONFIG: 'client.properties',
      MILLRACE_KAFKA_SERVICE_HOST: '10.0.0.1',
      MILLRACE_KAFKA_SERVICE_PORT_CLIENTS: '9092',
      MILLRACE_KAFKA_PORT: 'tcp://10.0.0.1:9092',
      MILLRACE_KAFKA_BOOTSTRAP_SERVICE_PORT: '9092',
      MILLRACE_KAFKA_BOOTSTRAP_PORT_9092_TCP_ADDR: '10.0.0.1',
    }
    const read = await readKafkaOptions({ environment, clock }, { brokers: 'a:1' })
    expect(read).toEqual({ clock, brokers: 'a:1', limits: {}, producer: {}, reader: {} })
  })

  test('a file that is not there is named', async () => {
    const propertiesFile = join(folder, 'missing.properties')
    await expect(readKafkaOptions({ propertiesFile, clock })).rejects.toMatchObject({
      ...MISCONFIGURED,
      message: expect.stringContaining(propertiesFile) as unknown,
    })
  })
})
