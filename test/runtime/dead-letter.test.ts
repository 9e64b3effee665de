/** What an app's names and its dead-letter topic must be before it starts. */
import { describe, expect, test } from 'vitest'
import { NO_HEADERS } from '../../model/record.ts'
import type { StreamsOptions } from '../../runtime/config.ts'
import { json } from '../../serdes/json.ts'
import { text } from '../../serdes/primitives.ts'
import { topology } from '../../topology/builder.ts'
import type { Topology } from '../../topology/graph.ts'
import { HandService } from '../processors/hand-services.ts'
import { MemoryBench } from './memory-bench.ts'

const words = topology('words', ({ stream }) => {
  stream('lines', { key: text, value: text })
    .selectKey(({ value }) => value, { key: text })
    .groupByKey()
    .count({ store: 'counts' })
    .toStream()
    .to('counted')
})

const answers = (onFailure: 'skip' | 'dead-letter') =>
  topology('answers', ({ stream }) => {
    stream('in', { key: text, value: text })
      .enrich('ask', new HandService().enricher, { onFailure })
      .to('out')
  })

const meetings = (onExpire: 'drop' | 'dead-letter') =>
  topology('meetings', ({ stream }) => {
    const left = stream('left', { key: text, value: json<string>() })
    const right = stream('right', { key: text, value: json<string>() })
    left
      .joinOnce('meet', right, (l, r) => l + r, { expireAfter: 100, onExpire, value: text })
      .to('out')
  })

/** The author's own step, which gives up on every record. */
const refusing = (declared: { readonly deadLetters?: true }) =>
  topology('refusing', ({ stream }) => {
    stream('in', { key: text, value: text })
      .process<string, string>({
        ...declared,
        name: 'refuse',
        create: (context) => (record) => {
          const error = new Error('not this one')
          const { timestamp } = record
          const nowhere = { topic: undefined, partition: undefined, offset: undefined }
          context.deadLetter({
            error,
            key: null,
            value: Buffer.from(record.value),
            timestamp,
            headers: NO_HEADERS,
            ...nowhere,
          })
        },
      })
      .to('out', { key: text, value: text })
  })

/** Making the app, which is before it looks at the log. */
async function making(
  of: Topology,
  options: Pick<StreamsOptions, 'application' | 'assignment' | 'deadLetterTopic' | 'failures'>,
): Promise<() => unknown> {
  const bench = await MemoryBench.with([])
  return () => bench.life(of, options)
}

describe('the dead-letter topic of an app', () => {
  test.each([
    ['a source', 'lines'],
    ['its own repartition topic', 'mine-counts-repartition'],
    ['its own changelog', 'mine-counts-changelog'],
  ])('is refused where it is %s: a letter would come round for ever', async (_, topic) => {
    const make = await making(words, { application: 'mine', deadLetterTopic: topic })
    expect(make).toThrow(
      expect.objectContaining({
        code: 'MILLRACE_TOPOLOGY_INVALID',
        problems: [expect.objectContaining({ code: 'MILLRACE_TOPOLOGY_LOOP', place: topic })],
      }),
    )
  })

  test('may be any other: a sink, or what another application keeps', async () => {
    for (const deadLetterTopic of ['counted', 'words-counts-changelog', 'failed']) {
      expect(await making(words, { application: 'mine', deadLetterTopic })).not.toThrow()
    }
  })

  test.each<[string, Topology, RegExp]>([
    ['a step that asks a service', answers('dead-letter'), /\bask\b.*deadLetterTopic/],
    ["a step of the author's", refusing({ deadLetters: true }), /\brefuse\b.*deadLetterTopic/],
    ['a join that expires', meetings('dead-letter'), /\bmeet\b.*deadLetterTopic/],
  ])('is asked for before the start by %s', async (_, of, says) => {
    expect(await making(of, {})).toThrow(
      expect.objectContaining({
        code: 'MILLRACE_NO_DEAD_LETTER_TOPIC',
        message: expect.stringMatching(says),
      }),
    )
    expect(await making(of, { deadLetterTopic: 'failed' })).not.toThrow()
  })

  test.each(['deserialization', 'processing'] as const)(
    'is asked for before the start by the policy failures.%s',
    async (kind) => {
      const make = await making(words, { failures: { [kind]: 'dead-letter' } })
      expect(make).toThrow(
        expect.objectContaining({
          code: 'MILLRACE_NO_DEAD_LETTER_TOPIC',
          message: expect.stringContaining(`failures.${kind}`),
        }),
      )
    },
  )

  test('is asked for by the first letter of a step that did not say it', async () => {
    const bench = await MemoryBench.with(['in', 'out'])
    await bench.produce('in', [{ key: 'a', value: '1' }])
    const life = await bench.start(refusing({}))
    const error = await life.failure()
    expect(error).toMatchObject({ code: 'MILLRACE_NO_DEAD_LETTER_TOPIC' })
    expect(error.message).toContain('not this one')
  })

  test('is not asked for by other policies', async () => {
    const failures = { deserialization: 'skip', processing: 'skip' } as const
    for (const of of [words, answers('skip'), meetings('drop')]) {
      expect(await making(of, { failures })).not.toThrow()
    }
  })
})

describe('a name that Kafka refuses', () => {
  test.each([
    ['application', 'a b'],
    ['application', '../x'],
    ['application', ''],
    ['deadLetterTopic', 'a b'],
    ['deadLetterTopic', '..'],
  ])('is refused when the app is made, as %s: %j', async (option, name) => {
    expect(await making(words, { [option]: name })).toThrow(
      expect.objectContaining({
        code: 'MILLRACE_ILLEGAL_NAME',
        message: expect.stringContaining(`${option} is ${JSON.stringify(name)}`),
      }),
    )
  })

  test('is refused as the instance id of a group', async () => {
    expect(await making(words, { assignment: { kind: 'group', instanceId: 'pod 1' } })).toThrow(
      expect.objectContaining({
        code: 'MILLRACE_ILLEGAL_NAME',
        message: expect.stringContaining('instanceId is "pod 1"'),
      }),
    )
  })

  test('is refused, too, where only a topic named after it is too long', async () => {
    const longest = 249 - '-counts-repartition'.length
    expect(await making(words, { application: 'a'.repeat(longest) })).not.toThrow()
    expect(await making(words, { application: 'a'.repeat(longest + 1) })).toThrow(
      expect.objectContaining({
        code: 'MILLRACE_ILLEGAL_NAME',
        message: expect.stringContaining('-counts-repartition'),
      }),
    )
  })
})
