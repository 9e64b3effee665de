import { afterEach, describe, expect, test, vi } from 'vitest'
import { describeCommand } from '../../cli/describe.ts'
import { environmentNotes } from '../../cli/environment-slips.ts'
import { runCommand } from '../../cli/run.ts'
import { tailCommand } from '../../cli/tail.ts'
import { millrace } from './millrace.ts'

const RUN = runCommand.declaration
const TAIL = tailCommand.declaration

function notesOn(
  environment: Record<string, string>,
  { declaration = RUN, args = [] }: { declaration?: typeof RUN; args?: readonly string[] } = {},
): readonly string[] {
  return environmentNotes(environment, { options: declaration.options, args })
}

describe('a variable that nobody reads', () => {
  afterEach(() => vi.unstubAllEnvs())

  test.each([
    ['MILLRACE_BROKER', 'MILLRACE_BROKERS'],
    ['MILLRACE_EMBEDED', 'MILLRACE_EMBEDDED'],
    ['MILLRACE_SCHEMA', 'MILLRACE_SCHEMAS'],
    ['MILLRACE_PARTITON', 'MILLRACE_PARTITION'],
    ['MILLRACE_KAKFA_CONFIG', 'MILLRACE_KAFKA_CONFIG'],
    ['MILLRACE_KAFAK_SASL_PASSWORD', 'MILLRACE_KAFKA_SASL_PASSWORD'],
  ])('is refused where it can only be a slip: %s', (name, meant) => {
    const message = `${name} is set in the environment, and no such variable is read: set ${meant} in its place`
    expect(() => notesOn({ [name]: 'x' })).toThrow(message)
    expect(notesOn({ [name]: '' })).toEqual([])
  })

  test.each([
    ['MILLRACE_BROKERS_LIST', 'MILLRACE_BROKERS'],
    ['MILLRACE_BRKRS', 'MILLRACE_BROKERS'],
    ['MILLRACE_REGISTRY_PASS', 'MILLRACE_REGISTRY_PASSWORD'],
    ['MILLRACE_REGISTRY_URL', 'MILLRACE_REGISTRY'],
    // Also the name of an option, which a script may have it for.
    ['MILLRACE_PARTITIONS', 'MILLRACE_PARTITION or --partitions'],
    ['MILLRACE_STATE', '--state'],
  ])('is noted where it may be one: %s', (name, offers) => {
    expect(notesOn({ [name]: 'x' })).toEqual([
      `${name} is set in the environment and is not read: did you mean ${offers}?`,
    ])
  })

  test.each([
    // A service of Kubernetes called millrace, and those called millrace-brokers and millrace-kafka.
    'MILLRACE_SERVICE_HOST',
    'MILLRACE_SERVICE_PORT_HTTP',
    'MILLRACE_PORT',
    'MILLRACE_PORT_9092_TCP_ADDR',
    'MILLRACE_BROKERS_SERVICE_HOST',
    'MILLRACE_BROKERS_PORT_9092_TCP',
    'MILLRACE_KAFKA_PORT',
    // Settings of Kafka are judged where they are read.
    'MILLRACE_KAFKA_NO_SUCH_SETTING',
    // Scripts, and our own tests.
    'MILLRACE_IMAGE',
    'MILLRACE_VERSION',
    'MILLRACE_HOME',
    'MILLRACE_TEST_BROKERS',
    'MILLRACE_TEST_CACHE',
    'MILLRACE_BENCH_BROKERS',
    'MILLRACE_SEED',
    'MILLRACE_SEEDS',
    'MILLRACE_CHAOS_MINUTES',
    // Others' altogether.
    'MILLRACES_BROKER',
    'KAFKA_BROKER',
  ])('is nobody’s business where it may be another’s: %s', (name) => {
    expect(notesOn({ [name]: 'x' })).toEqual([])
  })

  test('is not noted where the option that it spells is given', () => {
    const environment = { MILLRACE_APPLICATION: 'words' }
    expect(notesOn(environment)).toHaveLength(1)
    expect(notesOn(environment, { args: ['p.ts', '--application', 'words'] })).toEqual([])
    expect(notesOn(environment, { args: ['p.ts', '--application=words'] })).toEqual([])
  })

  test('is judged by what the command reads', () => {
    expect(notesOn({ MILLRACE_PARTITON: '1' }, { declaration: TAIL })).toEqual([])
    expect(() => notesOn({ MILLRACE_BROKER: 'b:1' }, { declaration: TAIL })).toThrow('BROKERS')
    const { declaration } = describeCommand
    expect(notesOn({ MILLRACE_BROKER: 'b:1' }, { declaration })).toEqual([])
  })
  test('ends the program, or is told beside what it does', async () => {
    const args = ['run', 'missing.ts', '--embedded', 'data']
    vi.stubEnv('MILLRACE_STATE', 'elsewhere')
    const noted = await millrace(args)
    expect(noted.code).toBe(3)
    expect(noted.stderr).toMatch(/^MILLRACE_STATE is set .* did you mean --state\?\n/)
    vi.stubEnv('MILLRACE_BROKER', 'b:9092')
    const refused = await millrace(args)
    expect(refused.code).toBe(2)
    expect(refused.stderr).toContain(
      'set MILLRACE_BROKERS in its place, or unset it [MILLRACE_USAGE]',
    )
  })
})
