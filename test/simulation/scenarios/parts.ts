/**
 * A streaming service whose answers are joined back with what they are about: parts of groups, like
 * chunks of videos. Some parts have old timestamps, and rows of the join may expire soon: only the
 * time that waiting records hold back keeps a slow service from making the join drop its partner.
 */
import { json } from '../../../serdes/json.ts'
import { text } from '../../../serdes/primitives.ts'
import type { SeededRandom } from '../../../testing/seeded-random.ts'
import type { ProducerRecord } from '../../../transport/transport.ts'
import { Expected, inputRecord, type Scenario } from '../scenario.ts'
import { summer, type Part, type Sum } from '../sum-session.ts'

const OUTPUTS = ['sums', 'joined']

const groupOf = (key: string): string => key.slice(0, key.indexOf('/'))

export const parts: Scenario = {
  name: 'parts',
  topics: ['parts', ...OUTPUTS],
  declare: ({ stream }, services) => {
    const source = stream('parts', {
      key: text,
      value: json<Part>(),
      partitionBy: groupOf,
    }).byReference()
    const sums = source.enrich('sum', summer(services), {
      orderBy: groupOf,
      sessions: 2,
      backoffMs: 5,
      attempts: 1000,
    })
    sums.to('sums')
    const expireAfter = services.fixed('expiry').pick([1, 200, 3_600_000])
    source
      .joinOnce('meet', sums, (part, sum) => ({ size: part.sizeBytes, ...sum }), { expireAfter })
      .to('joined', { value: json<Sum & { size: number }>() })
  },
  input: (random) => {
    const groups = Array.from({ length: 3 + random.below(3) }, (_, i) => ({
      group: `g${i}`,
      index: 0,
      parts: 2 + random.below(6),
    }))
    const records: ProducerRecord[] = []
    for (let timestamp = 1_000_000; ;) {
      const open = groups.filter(({ index, parts: all }) => index < all)
      if (open.length === 0) return records
      timestamp += random.below(100)
      const group = random.pick(open)
      records.push(partRecord(group, timestamp, random))
      group.index += 1
    }
  },
  check: (found, input, guarantee) => expected(input).compare(found, guarantee, OUTPUTS),
}

function partRecord(
  { group, index, parts: all }: { group: string; index: number; parts: number },
  now: number,
  random: SeededRandom,
): ProducerRecord {
  const timestamp = random.chance(0.2) ? now - random.below(2_000) : now
  const part: Part = { group, index, last: index === all - 1, size: random.below(1000) }
  return inputRecord('parts', `${group}/${index}`, {
    value: JSON.stringify(part),
    timestamp,
    place: group,
  })
}

function expected(input: readonly ProducerRecord[]): Expected {
  const outputs = new Expected()
  const sums = new Map<string, number>()
  for (const { topic, key, value } of input) {
    if (topic !== 'parts') continue
    const body = String(value)
    const { group, index, size } = JSON.parse(body) as Part
    const sum = (sums.get(group) ?? 0) + size
    sums.set(group, sum)
    const answer = { group, index, sum }
    outputs.put('sums', String(key), JSON.stringify(answer))
    outputs.put('joined', String(key), JSON.stringify({ size: body.length, ...answer }))
  }
  return outputs
}
