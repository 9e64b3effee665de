import { describe, expect, test } from 'vitest'
import { exitCodeOf } from '../../cli/exit-codes.ts'
import { REMEDIES } from '../../cli/remedies.ts'
import { runCommand } from '../../cli/run.ts'
import { MillraceError } from '../../model/errors.ts'
import { folderWith, millrace, WORDS, type Ended } from './millrace.ts'

const RUN = ['run', 'words.ts', '--embedded', 'data', '--create-topics', '--until-caught-up']
const TOPICS = ['topics', 'words.ts', '--embedded', 'data', '--create']
const RESET = ['reset', 'words.ts', '--embedded', 'data', '--dry-run']
const ASKING = `import { text, topology } from 'millrace'
export default topology('asking', ({ stream }) => {
  stream('words', { key: text, value: text })
    .enrich('ask', { kind: 'function', value: text, call: async ({ value }) => value }, { onFailure: 'dead-letter' })
    .to('answers')
})
`

async function inFolder(...args: readonly string[]): Promise<Ended> {
  await using folder = await folderWith({ 'words.ts': WORDS, 'asking.ts': ASKING })
  return await millrace(args, folder.path)
}

describe.concurrent('a name that no topic may have', () => {
  test.each([
    ['run', RUN, '--application', 'a b'],
    ['run', RUN, '--dead-letters', 'a b'],
    ['topics', TOPICS, '--dead-letters', '..'],
    ['reset', RESET, '--application', '../x'],
  ])('is refused on the command line of %s: %s %s %j', async (_, args, option, name) => {
    const ended = await inFolder(...args, option, name)
    expect(ended.stderr).toContain(`${option} takes a name`)
    expect(ended.stderr).toContain(`not '${name}'`)
    expect(ended).toMatchObject({ code: 2, stdout: '' })
  })

  test.each([
    ['topics', TOPICS],
    ['reset', RESET],
  ])('is refused by %s where a topic named after it would be too long', async (_, args) => {
    const ended = await inFolder(...args, '--application', 'a'.repeat(240))
    expect(ended.stderr).toContain('[MILLRACE_ILLEGAL_NAME]')
    expect(ended.code).toBe(3)
  })
})

describe.concurrent('dead letters that the pipeline itself would read', () => {
  test.each([
    ['run', [...RUN, '--on-error', 'dead-letter']],
    ['topics', TOPICS],
  ])('are refused by %s', async (_, args) => {
    const ended = await inFolder(...args, '--dead-letters', 'words')
    expect(ended.stderr).toContain('MILLRACE_TOPOLOGY_LOOP')
    expect(ended).toMatchObject({ code: 3, stdout: '' })
    // Before anything was made.
    expect(ended.stderr).not.toContain('made')
  })
})

describe.concurrent('an error that a run ends with names the option of the command line', () => {
  test.each([
    ['for commits', ['words.ts', '--commit-interval', '5m'], 'MILLRACE_LIMITS_CONFLICT'],
    ['for dead letters', ['asking.ts'], 'MILLRACE_NO_DEAD_LETTER_TOPIC'],
    ['for topics', ['words.ts'], 'MILLRACE_TOPOLOGY_TOPIC_MISSING'],
  ])('%s', async (_, args, code) => {
    const ended = await inFolder('run', ...args, '--embedded', 'data')
    expect(ended.stderr).toContain(code)
    expect(ended.stderr).toContain(`With millrace run: ${REMEDIES[code]}`)
    expect(ended.code).toBe(3)
  })

  test('for another mode', async () => {
    await using folder = await folderWith({ 'words.ts': WORDS })
    await millrace([...TOPICS, '--partitions', '1'], folder.path)
    expect(await millrace(RUN, folder.path)).toMatchObject({ code: 0 })
    const ended = await millrace([...RUN, '--group'], folder.path)
    expect(ended.stderr).toContain('[MILLRACE_OTHER_MODE]')
    expect(ended.stderr).toContain('--adopt')
    expect(ended.code).toBe(3)
  })

  test('which exists', () => {
    for (const remedy of Object.values(REMEDIES)) {
      const options = [...remedy.matchAll(/--([a-z-]+)/g)].map(([, name]) => name ?? '')
      expect(options).not.toEqual([])
      const others = options.filter((name) => !(name in runCommand.declaration.options))
      // Of `millrace topics`, which is named beside it.
      expect(others.filter((name) => name !== 'create')).toEqual([])
    }
  })
})

describe('an exit code', () => {
  test.each<`MILLRACE_${string}`>([
    'MILLRACE_LIMITS_CONFLICT',
    'MILLRACE_OTHER_MODE',
    'MILLRACE_NO_DEAD_LETTER_TOPIC',
    'MILLRACE_ILLEGAL_NAME',
    'MILLRACE_ANNOTATOR_DENIED',
    'MILLRACE_ANNOTATOR_MISCONFIGURED',
    'MILLRACE_REGISTRY_INCOMPATIBLE',
    'MILLRACE_REGISTRY_REFUSED',
  ])('says of %s that it wants correction', (code) => {
    expect(exitCodeOf(new MillraceError(code, 'no'))).toBe(3)
  })

  test.each<[`MILLRACE_${string}`, number]>([
    ['MILLRACE_ANNOTATOR_DENIED', 3],
    ['MILLRACE_ANNOTATOR_UNAVAILABLE', 5],
    ['MILLRACE_VIDEO_CORRUPT', 6],
  ])('says it of what a step gave up on, where that is %s: %i', (code, exit) => {
    const cause = new MillraceError(code, 'no')
    expect(exitCodeOf(new MillraceError('MILLRACE_ENRICH_FAILED', 'gave up', { cause }))).toBe(exit)
  })
})
