import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { text } from '../../serdes/primitives.ts'
import { topologyTestDriver } from '../../testing/topology-test-driver.ts'
import { kafkaTopology, names } from './kafka-topologies.ts'

/** A record that was piped, and what came out of it. */
interface Step {
  readonly topic: string
  readonly key: string | null
  readonly value: string | null
  readonly timestampMs: number
  readonly outputs: string[]
}

// Made by Kafka Streams 4.1.0: `> topic key value timestamp`, then what came out of it; `~` is null.
const runs = new Map(
  readFileSync(new URL('kafka-outputs.txt', import.meta.url), 'utf8')
    .split('# ')
    .slice(1)
    .map((run) => {
      const [name = '', ...lines] = run.trimEnd().split('\n')
      return [name, stepsOf(lines)]
    }),
)

function stepsOf(lines: readonly string[]): readonly Step[] {
  const steps: Step[] = []
  for (const line of lines) {
    if (line.startsWith('< ')) {
      steps.at(-1)?.outputs.push(line.slice(2))
      continue
    }
    const [topic = '', key = '', value = '', time = ''] = line.slice(2).split(' ')
    const timestampMs = Number(time)
    steps.push({ topic, key: nullable(key), value: nullable(value), timestampMs, outputs: [] })
  }
  return steps
}

function nullable(word: string): string | null {
  return word === '~' ? null : word
}

describe('a topology', () => {
  test.each(names)('gives what Kafka Streams gives, record by record (%s)', async (name) => {
    const steps = runs.get(name) ?? []
    expect(steps.length).toBeGreaterThan(0)
    const serdes = { key: text, value: text }
    await using driver = await topologyTestDriver(kafkaTopology(name))
    const topics = new Set(steps.map(({ topic }) => topic))
    const inputs = new Map([...topics].map((topic) => [topic, driver.input(topic, serdes)]))
    const out = driver.output('out', serdes)
    const given: string[] = []
    const wanted: string[] = []
    for (const [at, { topic, key, value, timestampMs, outputs }] of steps.entries()) {
      await inputs.get(topic)?.pipe(key, value, { timestampMs })
      const came = await out.readAll()
      given.push(...came.map((each) => `${at}: ${line(each)}`))
      wanted.push(...outputs.map((output) => `${at}: ${output}`))
    }
    expect(given).toEqual(DIFFERENT.has(name) ? withoutNeedless(wanted) : wanted)
  })

  test('is run for each of them', () => {
    expect([...runs.keys()].toSorted()).toEqual(names.toSorted())
  })
})

/** What follows an aggregate that hands on what it replaced: for the first record of a key Kafka Streams says that this was the initial value, of which nobody was ever told, and so removals of rows that never were come out. Ours says that there was none. */
const DIFFERENT: ReadonlySet<string> = new Set([
  'count-filter',
  'count-map-filter',
  'count-group-count',
  'window-filter',
  'window-group-count',
])

/** Without the removals of what is not there. */
function withoutNeedless(outputs: readonly string[]): readonly string[] {
  const rows = new Set<string>()
  return outputs.filter((output) => {
    const [key = '', value] = output.slice(output.indexOf(' ') + 1).split('\t')
    const isThere = rows.has(key)
    if (value === '~') rows.delete(key)
    else rows.add(key)
    return isThere || value !== '~'
  })
}

function line(record: { key: string | null; value: string | null; timestampMs: number }): string {
  return [record.key ?? '~', record.value ?? '~', record.timestampMs].join('\t')
}
