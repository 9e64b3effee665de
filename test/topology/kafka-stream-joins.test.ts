import { readFileSync } from 'node:fs'
import { describe as suite, expect, test } from 'vitest'
import { joinWindows } from '../../processors/join-windows.ts'
import { text } from '../../serdes/primitives.ts'
import { topologyTestDriver } from '../../testing/topology-test-driver.ts'
import { topology, type TopologyBuilder } from '../../topology/builder.ts'
import { describe } from '../../topology/describe.ts'
import type { KStream } from '../../topology/stream.ts'
import { declareProgram } from './programs.ts'
import { StreamJoinModel, type ModelKind, type ModelRecord } from './stream-join-model.ts'

/** A run of Kafka Streams 4.1.0: `# kind before after grace order`, then `> side key value timestamp` and what came out of it, `< key value timestamp header`; `~` is null, and the header is the number of the record. */
interface Run {
  readonly title: string
  readonly kind: string
  readonly windows: ReturnType<typeof joinWindows>
  readonly records: readonly ModelRecord[]
  readonly outputs: readonly string[]
}

const runs = read('kafka-stream-joins.txt')
  .split('# ')
  .slice(1)
  .map((part) => runOf(part.trimEnd().split('\n')))

function read(file: string): string {
  return readFileSync(new URL(file, import.meta.url), 'utf8')
}

function runOf([title = '', ...lines]: readonly string[]): Run {
  const [kind = '', before, after, grace] = title.split(' ')
  const windows = { beforeMs: Number(before), afterMs: Number(after), graceMs: Number(grace) }
  const records = lines.filter((line) => line.startsWith('> ')).map(recordOf)
  const outputs = lines.filter((line) => line.startsWith('< ')).map((line) => line.slice(2))
  return { title, kind, windows: joinWindows(0, windows), records, outputs }
}

function recordOf(line: string, at: number): ModelRecord {
  const [side, key = '', value = '', time] = line.slice(2).split(' ')
  return {
    side: side === 'left' ? 'left' : 'right',
    key: nullable(key),
    value: nullable(value),
    timestampMs: Number(time),
    header: String(at),
  }
}

function nullable(word: string): string | null {
  return word === '~' ? null : word
}

/** What the model makes of a run's records. */
function modelled({ kind, windows, records }: Run, world: 'kafka' | 'here'): readonly string[] {
  const { is, meets } = KINDS[kind] ?? { is: kind as ModelKind }
  const model = new StreamJoinModel(is, windows, world)
  return records
    .flatMap((record) => meets?.(record) ?? [record])
    .flatMap((record) => model.take(record))
}

/** What kind of join others are, and what reaches it. */
const KINDS: Readonly<Record<string, Kind>> = {
  self: { is: 'join', meets: onBothSides },
  selfOuter: { is: 'outerJoin', meets: onBothSides },
  byValue: {
    is: 'join',
    meets: (record) =>
      [byValue(record, 'left')].filter(({ key, side }) => side === 'right' || key !== null),
  },
  leftByValue: { is: 'leftJoin', meets: (record) => [byValue(record, 'left')] },
  outerByValue: { is: 'outerJoin', meets: (record) => [byValue(record, 'right')] },
}

interface Kind {
  readonly is: ModelKind
  readonly meets?: (record: ModelRecord) => readonly ModelRecord[]
}

/** A stream that is joined with itself: the other one is not used. */
function onBothSides(record: ModelRecord): readonly ModelRecord[] {
  if (record.side === 'right') return []
  return [record, { ...record, side: 'right' }]
}

function byValue(record: ModelRecord, side: 'left' | 'right'): ModelRecord {
  return record.side === side ? { ...record, key: groupOf(record.value) } : record
}

const SERDES = { key: text, value: text }
type Text = KStream<string, string>

/** The same joins as Kafka Streams was given. */
function joined(kind: string, { stream }: TopologyBuilder, windows: Run['windows']): Text {
  const [left, right] = [stream('left', SERDES), stream('right', SERDES)]
  const step = { ...SERDES, left: text, right: text, windows }
  const join = (a: string | null, b: string | null): string => `${a}+${b}`
  const regrouped = (its: Text): Text =>
    // No key, as a topic may have it.
    its.selectKey(({ value }) => groupOf(value) as string, { key: text })
  if (kind === 'self' || kind === 'selfOuter') right.foreach(() => {})
  switch (kind) {
    case 'join':
      return left.join(right, join, step)
    case 'leftJoin':
      return left.leftJoin(right, join, step)
    case 'outerJoin':
      return left.outerJoin(right, join, step)
    case 'self':
      return left.join(left, join, step)
    case 'selfOuter':
      return left.outerJoin(left, join, step)
    case 'byValue':
      return regrouped(left).join(right, join, step)
    case 'leftByValue':
      return regrouped(left).leftJoin(right, join, step)
    case 'outerByValue':
      return left.outerJoin(regrouped(right), join, step)
    default:
      throw new TypeError(`no join ${kind}`)
  }
}

/** The first letter of a value; none where that is x. */
function groupOf(value: string | null): string | null {
  return value === null || value.startsWith('x') ? null : value.slice(0, 1)
}

/** What this runtime makes of a run's records. */
async function run({ kind, windows, records }: Run): Promise<readonly string[]> {
  const declared = topology('joins', (builder) => joined(kind, builder, windows).to('out'))
  await using driver = await topologyTestDriver(declared)
  const inputs = { left: driver.input('left', SERDES), right: driver.input('right', SERDES) }
  const out = driver.output('out', SERDES)
  for (const { side, key, value, timestampMs, header } of records) {
    const headers = [{ key: 'h', value: Buffer.from(header) }]
    await inputs[side].pipe(key, value, { timestampMs, headers })
  }
  return (await out.readAll()).map((each) =>
    [each.key ?? '~', each.value ?? '~', each.timestampMs, String(each.headers[0]?.value)].join(
      ' ',
    ),
  )
}

const alike = runs.filter((each) => same(modelled(each, 'kafka'), modelled(each, 'here')))

function same(a: readonly string[], b: readonly string[]): boolean {
  return a.join('\n') === b.join('\n')
}

suite('a join of two streams', () => {
  test.each(alike)('gives what Kafka Streams gives, headers and all ($title)', async (each) => {
    expect(await run(each)).toEqual(each.outputs)
  })

  test.each(runs.filter((each) => !alike.includes(each)))(
    'gives what Kafka Streams gives, but for what is written down ($title)',
    async (each) => {
      expect(await run(each)).toEqual(modelled(each, 'here'))
    },
  )
})

suite('the model of a join', () => {
  test.each(runs)('gives what Kafka Streams gives, defects included ($title)', (each) => {
    expect(modelled(each, 'kafka')).toEqual(each.outputs)
  })

  test('is held against runs that differ and runs that do not', () => {
    expect(alike.length).toBeGreaterThan(10)
    expect(runs.length - alike.length).toBeGreaterThan(5)
  })
})

suite('describe', () => {
  // Made by Kafka Streams 4.1.0 from the programs beside them.
  const programs = read('kafka-stream-join-descriptions.txt')
    .split('# program\n')
    .slice(1)
    .map((part) => part.split('# description\n') as [string, string])

  test.each(programs.map(([program, description], at) => ({ at, program, description })))(
    'gives the text of Kafka Streams for joins of streams, byte for byte (program $at)',
    ({ program, description }) => {
      expect(describe(declareProgram(program.trimEnd().split('\n')))).toBe(description)
    },
  )
})
