/** Counting, a stateless branch, a service that answers one call, and a repartition topic between two counts. */
import { sleep } from '../../../model/clock.ts'
import type { FunctionEnricher } from '../../../processors/enricher.ts'
import { text } from '../../../serdes/primitives.ts'
import type { ProducerRecord } from '../../../transport/transport.ts'
import { Expected, inputRecord, type Scenario, type ScenarioServices } from '../scenario.ts'

const OUTPUTS = ['counts', 'echo', 'called', 'letters']

export const words: Scenario = {
  name: 'words',
  topics: ['words', ...OUTPUTS],
  declare: ({ stream }, services) => {
    const source = stream('words', { key: text, value: text })
    source
      .groupByKey()
      .count({ store: 'word-counts' })
      .toStream()
      .mapValues(String)
      .to('counts', { value: text })
    source.filter(({ value }) => value !== 'skip').to('echo')
    source.enrich('call', caller(services), { calls: 3, backoffMs: 5, attempts: 1000 }).to('called')
    source
      .groupBy(({ value }) => value.slice(0, 2), { key: text, name: 'by-letters' })
      .count({ store: 'letter-counts' })
      .toStream()
      .mapValues(String)
      .to('letters', { value: text })
  },
  input: (random) => {
    let timestamp = 1_000_000
    return Array.from({ length: 30 + random.below(30) }, (_, i) => {
      timestamp += random.below(50)
      const value = random.chance(0.1) ? 'skip' : `n${i}`
      return inputRecord('words', `w${random.below(6)}`, { value, timestamp })
    })
  },
  check: (found, input, guarantee) => expected(input).compare(found, guarantee, OUTPUTS),
}

/** Answers in upper case, after a while, after failing now and then. */
function caller(services: ScenarioServices): FunctionEnricher<string, string, string> {
  const { clock, random, areServicesBad } = services
  return {
    kind: 'function',
    value: text,
    call: async ({ value }, { signal }) => {
      await sleep(clock, areServicesBad ? random.below(60) : 1, signal)
      if (areServicesBad && random.chance(0.1)) throw new Error('the service had a bad moment')
      return value.toUpperCase()
    },
  }
}

function expected(input: readonly ProducerRecord[]): Expected {
  const outputs = new Expected()
  const counts = new Map<string, number>()
  const count = (of: string): string => {
    counts.set(of, (counts.get(of) ?? 0) + 1)
    return String(counts.get(of))
  }
  for (const { topic, key, value } of input) {
    if (topic !== 'words') continue
    const [name, body] = [String(key), String(value)]
    const letters = body.slice(0, 2)
    outputs.put('counts', name, count(`word ${name}`))
    outputs.put('letters', letters, count(`letters ${letters}`))
    outputs.put('called', name, body.toUpperCase())
    if (body !== 'skip') outputs.put('echo', name, body)
  }
  return outputs
}
