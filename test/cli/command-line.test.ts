import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { EXIT_RULES } from '../../cli/exit-codes.ts'
import { annotatorCommand } from '../../cli/annotator.ts'
import { describeCommand } from '../../cli/describe.ts'
import { commandHelp } from '../../cli/help.ts'
import { ingestCommand } from '../../cli/ingest.ts'
import { resetCommand } from '../../cli/reset.ts'
import { runCommand } from '../../cli/run.ts'
import { sendCommand } from '../../cli/send.ts'
import { tailCommand } from '../../cli/tail.ts'
import { topicsCommand } from '../../cli/topics.ts'
import { millrace } from './millrace.ts'

const about = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
  engines: { node: string }
}

describe.concurrent('the program', () => {
  test('lists its commands and asks for one', async () => {
    const { code, stdout, stderr } = await millrace([])
    expect(code).toBe(2)
    expect(stdout).toBe('')
    for (const name of ['ingest', 'describe', 'tail', 'annotator']) expect(stderr).toContain(name)
  })

  test('shows its help where it is asked for', async () => {
    const { code, stdout, stderr } = await millrace(['--help'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('Usage: millrace <command>')
  })

  test('says its version', async () => {
    expect(await millrace(['--version'])).toEqual({
      code: 0,
      stdout: `${about.version}\n`,
      stderr: '',
    })
  })

  test('shows the help of a command in either spelling', async () => {
    const [behind, before] = await Promise.all([
      millrace(['tail', '--help']),
      millrace(['help', 'tail']),
    ])
    expect(behind).toEqual(before)
    expect(behind).toMatchObject({ code: 0, stderr: '' })
    expect(behind.stdout).toBe(commandHelp(tailCommand))
  })

  test('asks what was meant by a command it does not know', async () => {
    const { code, stderr } = await millrace(['descrieb', 'x.ts'])
    expect(code).toBe(2)
    expect(stderr).toBe(
      "millrace: there is no command 'descrieb': did you mean describe? [MILLRACE_USAGE]\n" +
        'See: millrace --help\n',
    )
  })

  test('asks what was meant by an option it does not know', async () => {
    const { code, stderr } = await millrace(['describe', 'x.ts', '--mermiad'])
    expect(code).toBe(2)
    expect(stderr).toContain('there is no option --mermiad here: did you mean --mermaid?')
    expect(stderr).toContain('See: millrace describe --help')
  })

  test('writes an error as JSON where JSON is asked for', async () => {
    const { code, stderr } = await millrace(['describe', 'missing.ts', '--json'])
    expect(code).toBe(3)
    expect(JSON.parse(stderr)).toMatchObject({
      event: 'error',
      code: 'MILLRACE_PIPELINE_MISSING',
      place: 'missing.ts',
    })
  })

  test('shows a stack only where it is asked to', async () => {
    const [plain, debug] = await Promise.all([
      millrace(['describe', 'missing.ts']),
      millrace(['describe', 'missing.ts', '--debug']),
    ])
    expect(plain.stderr.split('\n')).toHaveLength(2)
    expect(debug.stderr).toMatch(/^ {4}at /m)
  })

  test('takes everything behind -- as an operand', async () => {
    const { code, stderr } = await millrace(['describe', '--', '--help'])
    expect(code).toBe(3)
    expect(stderr).toContain('there is no pipeline at --help')
  })
})

const COMMANDS = [
  annotatorCommand,
  describeCommand,
  ingestCommand,
  resetCommand,
  runCommand,
  sendCommand,
  tailCommand,
  topicsCommand,
]

describe('a command', () => {
  test.each(COMMANDS)('shows its options and examples: $declaration.name', (command) => {
    const help = commandHelp(command)
    for (const name of Object.keys(command.declaration.options)) expect(help).toContain(`--${name}`)
    expect(help).toMatch(new RegExp(`^ {2}millrace ${command.declaration.name}`, 'm'))
    for (const line of help.split('\n')) expect(line.length).toBeLessThanOrEqual(100)
  })

  test.each([
    [describeCommand, [], 'describe needs <pipeline.ts>'],
    [describeCommand, ['a.ts', 'b.ts'], "describe does not know what to do with 'b.ts'"],
    [describeCommand, ['x.ts', '--mermaid=yes'], '--mermaid takes no value'],
    [
      tailCommand,
      ['topic', '--brokers', 'here'],
      '--brokers takes a broker such as localhost:9092',
    ],
    [tailCommand, ['topic', '--registry', 'here'], '--registry takes an address such as'],
    [tailCommand, ['topic', '--embedded'], '--embedded needs a value'],
    [tailCommand, ['topic', '--embedded', '--json'], '--embedded needs a value'],
    [tailCommand, ['t', '--embedded', 'a', '--embedded', 'b'], '--embedded was given twice'],
    [
      ingestCommand,
      ['a', '--embedded', 'd', '--chunk', '5 apples'],
      '--chunk takes a size such as',
    ],
    [annotatorCommand, ['--port', '70000'], '--port takes a port'],
    [annotatorCommand, ['--latency', '10'], '--latency takes a duration such as'],
    [annotatorCommand, ['--rehearse', 'dye'], '--rehearse takes one of in-band, status'],
  ])('refuses what it cannot understand: %#', (command, args, message) => {
    expect(() => command.prepare(args)).toThrow(message)
  })
})

describe('exit codes', () => {
  test('are given to codes that exist', () => {
    const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8')
    const codes = [...page.matchAll(/^## (MILLRACE_\w+)$/gm)].map(([, code]) => code ?? '')
    const unused = EXIT_RULES.filter(([rule]) => !codes.some((code) => rule.test(code)))
    expect(unused).toEqual([])
  })

  test('are all on the page of operations', () => {
    const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8')
    for (const code of [0, 1, 2, 3, 4, 5, 6, 7, 8])
      expect(page).toMatch(new RegExp(`^\\| ${code} `, 'm'))
  })

  test('need the version of Node that the package names', () => {
    const bin = readFileSync(new URL('../../cli/bin.ts', import.meta.url), 'utf8')
    expect(about.engines.node).toBe('>=24')
    expect(bin).toContain('const NEEDED_MAJOR = 24')
    expect(bin).not.toMatch(/^import|^export/m)
  })
})
