/**
 * Tables: a stream whose key is changed and left-joined with a table (some keys are null), a table
 * grouped by another key and aggregated, and a reduction that removes its row now and then.
 */
import { json } from '../../../serdes/json.ts'
import { text } from '../../../serdes/primitives.ts'
import type { SeededRandom } from '../../../testing/seeded-random.ts'
import type { ProducerRecord } from '../../../transport/transport.ts'
import { Expected, inputRecord, type Outputs, type Scenario } from '../scenario.ts'

interface Visit {
  readonly n: number
  /** Who came; null where nobody knows. */
  readonly person: string | null
}

interface Row {
  readonly group: string
  readonly size: number
}

const familyOf = (key: string): string => key.slice(0, key.indexOf('/'))
/** Above this a reduction is removed. */
const LIMIT = 20

export const tables: Scenario = {
  name: 'tables',
  topics: ['people', 'visits', 'visited', 'rows', 'sizes', 'numbers', 'reduced'],
  declare: ({ stream, table }) => {
    const people = table('people', { key: text, value: text, store: 'people' })
    stream('visits', { key: text, value: json<Visit>() })
      .selectKey(({ value }) => value.person as string, { key: text })
      .leftJoin(people, ({ n }, row) => `${n} ${row}`, { value: text })
      .to('visited')
    table('rows', { key: text, value: json<Row>(), partitionBy: familyOf, store: 'rows' })
      .groupBy(({ group, size }) => [group, size], { key: text, value: json<number>() })
      .aggregate(
        { initial: () => 0, add: (sum, size) => sum + size, subtract: (sum, size) => sum - size },
        { store: 'sizes', value: json<number>() },
      )
      .toStream()
      .mapValues(String)
      .to('sizes', { value: text })
    stream('numbers', { key: text, value: json<number>() })
      .groupByKey()
      .reduce((sum, next) => (sum + next > LIMIT ? null : sum + next), { store: 'reduced' })
      .toStream()
      .to('reduced')
  },
  input: (random) => {
    let timestamp = 1_000_000
    return Array.from({ length: 60 + random.below(20) }, (_, n) => {
      timestamp += random.below(50)
      return random.pick([person, visit, row, row, number])(random, { n, timestamp })
    })
  },
  check: (found, input, guarantee) => [
    ...wrongVisits(found, input, guarantee === 'exactly-once'),
    ...(guarantee === 'exactly-once'
      ? expected(input).compare(found, guarantee, ['sizes', 'reduced'])
      : []),
  ],
}

interface Place {
  readonly n: number
  readonly timestamp: number
}

function person(random: SeededRandom, { n, timestamp }: Place): ProducerRecord {
  const value = random.chance(0.2) ? null : `v${n}`
  return inputRecord('people', `p${random.below(4)}`, { value, timestamp })
}

function visit(random: SeededRandom, { n, timestamp }: Place): ProducerRecord {
  const who = random.chance(0.2) ? null : `p${random.below(4)}`
  const value = JSON.stringify({ n, person: who } satisfies Visit)
  return inputRecord('visits', `visit${n}`, { value, timestamp })
}

/** All rows of a family are in one partition, and so are the changes of its groups: their order is known. */
function row(random: SeededRandom, { timestamp }: Place): ProducerRecord {
  const family = `f${random.below(3)}`
  const group = `${family}:${random.below(2)}`
  const value = JSON.stringify({ group, size: 1 + random.below(9) } satisfies Row)
  return inputRecord('rows', `${family}/${random.below(3)}`, {
    value: random.chance(0.2) ? null : value,
    timestamp,
    place: family,
  })
}

function number(random: SeededRandom, { timestamp }: Place): ProducerRecord {
  const value = random.chance(0.1) ? null : String(1 + random.below(9))
  return inputRecord('numbers', `k${random.below(3)}`, { value, timestamp })
}

function expected(input: readonly ProducerRecord[]): Expected {
  const outputs = new Expected()
  const rows = new Map<string, Row>()
  const sizes = new Map<string, number>()
  const sums = new Map<string, number>()
  for (const { topic, key, value } of input) {
    const name = String(key)
    const body = value === null ? undefined : String(value)
    if (topic === 'rows') {
      const was = rows.get(name)
      const is = body === undefined ? undefined : (JSON.parse(body) as Row)
      if (is === undefined) rows.delete(name)
      else rows.set(name, is)
      for (const [group, size] of changesOf(was, is)) {
        sizes.set(group, (sizes.get(group) ?? 0) + size)
        outputs.put('sizes', group, String(sizes.get(group)))
      }
    } else if (topic === 'numbers' && body !== undefined) {
      const sum = (sums.get(name) ?? 0) + Number(body)
      if (sum > LIMIT) sums.delete(name)
      else sums.set(name, sum)
      outputs.put('reduced', name, sum > LIMIT ? null : String(sum))
    }
  }
  return outputs
}

/** What a changed row does to its groups: one update where the group stays, else one in each, the old one's first. */
function changesOf(was: Row | undefined, is: Row | undefined): (readonly [string, number])[] {
  if (was !== undefined && is !== undefined && was.group === is.group) {
    return [[is.group, is.size - was.size]]
  }
  return [
    ...(was === undefined ? [] : ([[was.group, -was.size]] as const)),
    ...(is === undefined ? [] : ([[is.group, is.size]] as const)),
  ]
}

/**
 * Which row a visit meets depends on when the two logs are read, so it is judged by what must hold of
 * any reading: every visit once, and the rows that the visits of one person meet never go back.
 */
function wrongVisits(found: Outputs, input: readonly ProducerRecord[], isOnce: boolean): string[] {
  const versions = new Map<string, string[]>()
  const want = new Map<string, string[]>()
  for (const { topic, key, value } of input) {
    if (topic === 'people') {
      const name = String(key)
      versions.set(name, [
        ...(versions.get(name) ?? ['null']),
        value === null ? 'null' : String(value),
      ])
    } else if (topic === 'visits') {
      const { n, person: who } = JSON.parse(String(value)) as Visit
      want.set(String(who), [...(want.get(String(who)) ?? []), String(n)])
    }
  }
  const problems: string[] = []
  const got = found('visited')
  for (const who of new Set([...want.keys(), ...got.keys()])) {
    const pairs = (got.get(who) ?? []).map((value) => String(value).split(' '))
    const visits = pairs.map(([n = '']) => n)
    const wanted = want.get(who) ?? []
    const isComplete = isOnce
      ? visits.toSorted().join() === wanted.toSorted().join()
      : wanted.every((n) => visits.includes(n))
    if (!isComplete)
      problems.push(`visits of ${who}: ${visits.join()} in place of ${wanted.join()}`)
    if (
      isOnce &&
      !isForward(
        pairs.map(([, met = '']) => met),
        versions.get(who) ?? ['null'],
      )
    ) {
      problems.push(`visits of ${who} met ${pairs.join(' ')} of ${versions.get(who)?.join(' ')}`)
    }
  }
  return problems
}

/** Whether the rows met are versions of the row, none older than the one before. */
function isForward(met: readonly string[], versions: readonly string[]): boolean {
  let at = 0
  for (const one of met) {
    at = versions.indexOf(one, at)
    if (at < 0) return false
  }
  return true
}
