/**
 * What was in order when an app started and is taken from it while it runs: rights, a password, the
 * size of the records that a topic takes. Whoever runs it is told what to give back, and nothing is
 * lost or done twice when it is there again.
 */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { isMillraceError, type MillraceError } from '../../model/errors.ts'
import { untilAborted } from '../../model/until-aborted.ts'
import type { StreamsApp } from '../../runtime/app.ts'
import type { StreamsLimits, StreamsOptions } from '../../runtime/config.ts'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import { AppStage, type AppsWay, type Seen } from './app-stage.ts'
import { PLAIN_USER } from './broker-properties.ts'
import { TestCluster } from './broker.ts'
import { expectCountedOnce } from './counted-once.ts'
import { allow, setPassword, withhold } from './fault-stage.ts'
import { kafkaTool } from './tools.ts'

/** Within this an app has said what it lacks, on a busy machine too. */
const TOLD = { timeout: 30_000, interval: 50 }
/** And within this it has made up for it. */
const AGAIN_MS = 60_000
const PARTITIONS = 2
/** Who logs in with SCRAM-SHA-512, and nobody else, has to prove again who he is so often. */
const SASL_SESSION_MS = 2_000
const SCRAM_512 = 'listener.name.sasl_ssl.scram-sha-512'
const LIMITS: Partial<StreamsLimits> = { sessionTimeoutMs: 2_000, heartbeatIntervalMs: 300 }
const ALONE = { kind: 'static' } as const
const IN_GROUP = { kind: 'group' } as const
const NOT_AUTHORIZED = 'MILLRACE_KAFKA_NOT_AUTHORIZED'
const AUTHENTICATION = 'MILLRACE_KAFKA_AUTHENTICATION'

vi.setConfig({ testTimeout: 180_000 })

let cluster: TestCluster

beforeAll(async () => {
  cluster = await TestCluster.start({
    secure: true,
    properties: { [`${SCRAM_512}.connections.max.reauth.ms`]: String(SASL_SESSION_MS) },
  })
  // Everything, on what stages have: a right is missing only where a test takes it away.
  const stages = ['--topic', '--group', '--transactional-id'].flatMap((kind) => [kind, 'stage-'])
  await allow(brokers(), 'All', [...stages, '--resource-pattern-type', 'prefixed'], '*')
})

afterAll(() => cluster?.[Symbol.asyncDispose]())

/** The brokers, where nobody has to log in. */
const brokers = (): string => cluster.brokers.join()

function loggedIn(
  user: { readonly username: string; readonly password: string },
  mechanism: 'SCRAM-SHA-256' | 'SCRAM-SHA-512' = 'SCRAM-SHA-512',
): AppsWay {
  const sasl = { mechanism, ...user }
  return { brokers: cluster.secureBrokers, tls: { ca: cluster.ca }, sasl }
}

async function openStage(way = loggedIn(PLAIN_USER, 'SCRAM-SHA-256')): Promise<AppStage> {
  const stage = await AppStage.open(cluster.brokers, way)
  await stage.create('in', PARTITIONS)
  await stage.create('out', PARTITIONS)
  return stage
}

/** An app that counts, and has done so already. */
async function working(
  stage: AppStage,
  {
    assignment = ALONE,
    limits = {},
  }: Pick<StreamsOptions, 'assignment'> & { readonly limits?: Partial<StreamsLimits> } = {},
): Promise<StreamsApp> {
  const app = stage.app(stage.counting(), { assignment, limits: { ...LIMITS, ...limits } })
  await stage.work(app, { partitions: PARTITIONS, withinMs: AGAIN_MS })
  return app
}

async function caughtUp(app: StreamsApp): Promise<void> {
  await app.caughtUp(AbortSignal.timeout(AGAIN_MS))
}

/** Why an app started over, or undid what it did, each time. */
function reasons({ events }: AppStage): readonly MillraceError[] {
  return events.flatMap((event) => {
    const isReason = event.kind === 'restarting' || event.kind === 'rewound'
    return isReason && isMillraceError(event.error) ? [event.error] : []
  })
}

/** What an app that goes on says of an error with this code, when it has done so twice. */
async function told(stage: AppStage, app: StreamsApp, code: string): Promise<readonly string[]> {
  const ended = app.closed.then(() => [])
  const heard = vi.waitFor(() => {
    const said = reasons(stage).filter((error) => error.code === code)
    expect(said.length, `of ${reasons(stage).map(String).join('\n')}`).toBeGreaterThan(1)
    return said.map(({ message }) => message)
  }, TOLD)
  return await Promise.race([heard, ended])
}

/** What an app ended of, in time. */
async function endOf(app: StreamsApp): Promise<MillraceError> {
  const ended = untilAborted(app.closed, AbortSignal.timeout(TOLD.timeout))
  const error: unknown = await ended.catch((thrown: unknown) => thrown)
  if (!isMillraceError(error))
    throw new Error('the app goes on, or ended otherwise', { cause: error })
  return error
}

/** A right that is taken away. */
interface Loss {
  readonly operation: string
  readonly on: 'topic' | 'group' | 'transactional-id'
  readonly name: (stage: AppStage) => string
  /** What an app asks to have back; the right itself where it is left out. */
  readonly asks?: string
}

const OUTPUT: Loss = { operation: 'Write', on: 'topic', name: (stage) => stage.topic('out') }
const ALL_OF_OUTPUT: Loss = { ...OUTPUT, operation: 'All', asks: '(Write|Describe)' }
const SOURCE: Loss = { operation: 'Read', on: 'topic', name: (stage) => stage.topic('in') }
const GROUP: Loss = { operation: 'Read', on: 'group', name: ({ application }) => application }
const TRANSACTIONS: Loss = {
  operation: 'Write',
  on: 'transactional-id',
  name: ({ application }) => `${application}-`,
}

/** Takes a right away; ids of transactions by how they begin. Resolves with how it is given back. */
async function lose({ operation, on, name }: Loss, stage: AppStage): Promise<() => Promise<void>> {
  const pattern = on === 'transactional-id' ? ['--resource-pattern-type', 'prefixed'] : []
  return await withhold(brokers(), operation, [`--${on}`, name(stage), ...pattern])
}

/** One sentence with what is refused, and one with the remedy. */
function sentencesOf({ operation, on, name, asks = operation }: Loss, stage: AppStage): RegExp {
  const kind = on.replace('-', ' ')
  const line = `kafka-acls\\.sh --add --operation ${asks} --${on} ${name(stage)}`
  return new RegExp(
    `^Kafka does not let this user do \\w+ for ((topic|group|transaction) )?${name(stage)}.*\\. ` +
      `Give the user the right ${asks} on the ${kind} \\(${line}.*\\), or connect as another\\.$`,
  )
}

describe.concurrent('an app that works says what to give back, and goes on when it has', () => {
  test.each([
    ['the right to write its output', ALONE, OUTPUT],
    ['every right on its output', ALONE, ALL_OF_OUTPUT],
    ['the right to read its source', ALONE, SOURCE],
    ['the right to commit for its group', ALONE, GROUP],
    ['the right to its transactional id', ALONE, TRANSACTIONS],
    ['in a group, the right to read its source', IN_GROUP, SOURCE],
    ['in a group, the right to its group', IN_GROUP, GROUP],
    ['in a group, the right to its transactional id', IN_GROUP, TRANSACTIONS],
  ])('%s', async (_, assignment, loss) => {
    await using stage = await openStage()
    const app = await working(stage, { assignment })
    const giveBack = await lose(loss, stage)
    await stage.feed(50, PARTITIONS)
    for (const message of await told(stage, app, NOT_AUTHORIZED)) {
      expect(message).toMatch(sentencesOf(loss, stage))
    }
    await giveBack()
    await stage.feed(50, PARTITIONS)
    await expectCountedOnce(stage, app, AGAIN_MS)
  })

  test('its password', async () => {
    const user = { username: 'carol', password: 'carol-secret' }
    await setPassword(brokers(), user)
    await using stage = await openStage(loggedIn(user))
    const app = await working(stage)
    await setPassword(brokers(), { ...user, password: 'another-secret' })
    await stage.feed(50, PARTITIONS)
    for (const message of await told(stage, app, AUTHENTICATION)) {
      expect(message).toMatch(/^Broker 127\.0\.0\.1:\d+ does not accept the user carol: /)
      expect(message).toMatch(/\. Check mechanism, user name and password or token\.$/)
      expect(message).not.toContain('carol-secret')
    }
    await setPassword(brokers(), user)
    await stage.feed(50, PARTITIONS)
    await expectCountedOnce(stage, app, AGAIN_MS)
  })
})

describe.concurrent('an app', () => {
  test('whose rights do not come back in time ends, is refused at once when it starts, and goes on with them', async () => {
    await using stage = await openStage()
    const app = await working(stage, { limits: { unitTimeoutMs: 1_500 } })
    const giveBack = await lose(OUTPUT, stage)
    await stage.feed(50, PARTITIONS)
    const end = await endOf(app)
    expect(end.code).toBe(NOT_AUTHORIZED)
    expect(end.message).toMatch(sentencesOf(OUTPUT, stage))
    stage.events.length = 0
    const refused = stage.app(stage.counting())
    await refused.start().catch(() => {})
    expect((await endOf(refused)).message).toMatch(sentencesOf(OUTPUT, stage))
    expect(reasons(stage)).toEqual([])
    await giveBack()
    const next = stage.app(stage.counting())
    await next.start()
    await stage.feed(50, PARTITIONS)
    await expectCountedOnce(stage, next, AGAIN_MS)
  })

  test('whose password is changed can be closed, and goes on with the new one', async () => {
    const user = { username: 'dave', password: 'dave-secret' }
    await setPassword(brokers(), user)
    await using stage = await openStage(loggedIn(user))
    const app = await working(stage)
    const changed = { ...user, password: 'another-secret' }
    await setPassword(brokers(), changed)
    await stage.feed(50, PARTITIONS)
    await told(stage, app, AUTHENTICATION)
    await app.close()
    const transport = await stage.anotherWay(loggedIn(changed))
    const next = stage.app(stage.counting(), { transport })
    await next.start()
    await stage.feed(50, PARTITIONS)
    await expectCountedOnce(stage, next, AGAIN_MS)
  })

  test('whose output takes smaller records from now on writes what fits, ends at what does not with the command for it, and goes on after that', async () => {
    await using stage = await openStage()
    const out = stage.topic('out')
    const copying = topology('copying', ({ stream }) => {
      stream(stage.topic('in'), { key: text, value: text }).to(out)
    })
    const configure = async (line: string): Promise<void> => {
      const where = ['--bootstrap-server', brokers()]
      await kafkaTool('kafka.admin.ConfigCommand', ...where, ...line.split(' '))
    }
    const sent: Seen[] = []
    const send = async (...records: readonly Seen[]): Promise<void> => {
      sent.push(...records)
      await stage.send('in', records, PARTITIONS)
    }
    const some = (): readonly Seen[] =>
      Array.from({ length: 300 }, (_, n) => ({ key: 'k', value: String(sent.length + n) }))
    const app = stage.app(copying)
    await app.start()
    await send(...some())
    await caughtUp(app)
    await configure(
      `--alter --entity-type topics --entity-name ${out} --add-config max.message.bytes=1000`,
    )
    // Together they are over the limit, and one by one they are not.
    await send(...some())
    await caughtUp(app)
    await send(...some(), { key: 'k', value: 'large'.padEnd(5_000, '.') }, ...some())
    const { code, message, place } = await endOf(app)
    expect(code).toBe('MILLRACE_RECORD_TOO_LARGE')
    expect(place).toMatch(new RegExp(`^${out}\\[\\d\\]$`))
    expect(message).toMatch(/is over its limit of 1000 bytes.*Raise max\.message\.bytes of/)
    expect(reasons(stage)).toEqual([])
    const [, command] = /\(kafka-configs\.sh ([^)]+)\)/.exec(message) ?? []
    expect(command, message).toContain(out)
    await configure(command ?? '')
    const next = stage.app(copying)
    await next.start()
    await caughtUp(next)
    expect(await stage.read('out')).toEqual(sent)
  })
})
