/** What a simulated world runs: topologies, their input, and what must come out, judged from the input alone. */
import type { Clock } from '../../model/clock.ts'
import { partitionForKey } from '../../model/murmur2.ts'
import { asPartition, asTopic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import type { Guarantee } from '../../runtime/config.ts'
import type { SeededRandom } from '../../testing/seeded-random.ts'
import type { TopologyBuilder } from '../../topology/builder.ts'
import type { ProducerRecord } from '../../transport/transport.ts'

/** Partitions of every topic of a scenario. */
export const PARTITIONS = 3

/** What the services and steps of a scenario may use in one process. */
export interface ScenarioServices {
  readonly clock: Clock
  readonly random: SeededRandom
  /** Whether services are slow and fail now and then. */
  readonly areServicesBad: boolean
  /** Numbers that stay the same for all processes of the seed. */
  readonly fixed: (name: string) => SeededRandom
  /** Planted: sessions hand answers of an earlier session to the next one of the same key. */
  readonly areAnswersLate: boolean
}

/** What came out: for each key of a topic its values in the order of the log; null is a tombstone. */
export type Outputs = (topic: string) => ReadonlyMap<string, readonly (string | null)[]>

/** A family of steps. Several of them make one topology. */
export interface Scenario {
  readonly name: string
  /** Its topics, inputs and outputs. */
  readonly topics: readonly string[]
  readonly declare: (builder: TopologyBuilder, services: ScenarioServices) => void
  /** The records in the order they are produced. */
  readonly input: (random: SeededRandom) => readonly ProducerRecord[]
  /** Records that are produced once the world is quiet: they may be of a later time than all others. */
  readonly epilogue?: () => readonly ProducerRecord[]
  /** What is wrong with what came out of `input` and epilogue. */
  readonly check: (
    found: Outputs,
    input: readonly ProducerRecord[],
    guarantee: Guarantee,
  ) => readonly string[]
}

/** A record of an input topic; `place` chooses its partition, by default the key. */
export function inputRecord(
  topic: string,
  key: string | null,
  {
    value,
    timestamp,
    place = key ?? '',
  }: { value: string | null; timestamp: number; place?: string },
): ProducerRecord {
  return {
    topic: asTopic(topic),
    partition: asPartition(partitionForKey(Buffer.from(place), PARTITIONS)),
    key: key === null ? null : Buffer.from(key),
    value: value === null ? null : Buffer.from(value),
    timestamp,
    headers: NO_HEADERS,
  }
}

/** Exact outputs in the making: for each topic and key the values in order. */
export class Expected {
  readonly #topics = new Map<string, Map<string, (string | null)[]>>()

  put(topic: string, key: string, value: string | null): void {
    const keys = this.#topics.get(topic) ?? new Map<string, (string | null)[]>()
    this.#topics.set(topic, keys)
    const values = keys.get(key) ?? []
    keys.set(key, values)
    values.push(value)
  }

  /** Exactly once: the same values in the same order. At least once: none is missing. */
  compare(found: Outputs, guarantee: Guarantee, topics: readonly string[]): readonly string[] {
    const problems: string[] = []
    for (const topic of topics) {
      const want = this.#topics.get(topic) ?? new Map<string, (string | null)[]>()
      const got = found(topic)
      for (const key of new Set([...want.keys(), ...got.keys()])) {
        const [wanted, there] = [want.get(key) ?? [], got.get(key) ?? []]
        if (isRight(wanted, there, guarantee)) continue
        problems.push(`${topic} ${key}: ${there.join(' ')} in place of ${wanted.join(' ')}`)
      }
    }
    return problems
  }
}

function isRight(
  want: readonly (string | null)[],
  got: readonly (string | null)[],
  guarantee: Guarantee,
): boolean {
  if (guarantee === 'at-least-once') return want.every((value) => got.includes(value))
  return want.length === got.length && want.every((value, i) => value === got[i])
}
