/**
 * Steps that keep what comes and hand it on when their time has come: one by stream time, one by the
 * wall clock, which jumps. When they are called depends on restarts and on the clock; what comes out
 * does not: every value once, those of a key in order.
 */
import { NO_HEADERS, StreamRecord } from '../../../model/record.ts'
import type { ProcessorContext, PunctuationType } from '../../../processors/processor.ts'
import { json } from '../../../serdes/json.ts'
import { text } from '../../../serdes/primitives.ts'
import type { KeyValueStoreSpec } from '../../../state/store.ts'
import { Expected, inputRecord, type Scenario } from '../scenario.ts'

type Kept = readonly (readonly [key: string, value: string, timestamp: number])[]

const INTERVALS_MS = {
  'stream-time': 250,
  /** Each call is work to be committed: with a much shorter interval the world would never be seen quiet. */
  'wall-clock': 1_000,
}
const ROW = 'kept'

export const schedules: Scenario = {
  name: 'schedules',
  topics: ['ticks', 'by-stream-time', 'by-wall-clock'],
  declare: ({ stream }) => {
    const ticks = stream('ticks', { key: text, value: text })
    for (const type of ['stream-time', 'wall-clock'] as const) {
      const store = keptStore(`kept-by-${type}`)
      ticks
        .process({
          name: `keep-by-${type}`,
          key: text,
          value: text,
          stores: [store],
          create: (context: ProcessorContext<string, string>) => keeper(context, { store, type }),
        })
        .to(`by-${type}`)
    }
  },
  input: (random) => {
    let timestamp = 1_000_000
    const records = Array.from({ length: 40 + random.below(20) }, (_, n) => {
      timestamp += random.below(50)
      return inputRecord('ticks', `t${random.below(5)}`, { value: String(n), timestamp })
    })
    // Last records, each so late that its time calls for all that is kept by stream time.
    const ends = ['t0', 't1', 't2', 't3', 't4'].map((key, i) => {
      return inputRecord('ticks', key, {
        value: 'end',
        timestamp: timestamp + (i + 1) * INTERVALS_MS['stream-time'],
      })
    })
    return [...records, ...ends]
  },
  check: (found, input, guarantee) => {
    const expected = new Expected()
    for (const { topic, key, value } of input) {
      if (topic !== 'ticks') continue
      expected.put('by-stream-time', String(key), String(value))
      expected.put('by-wall-clock', String(key), String(value))
    }
    return expected.compare(found, guarantee, ['by-stream-time', 'by-wall-clock'])
  },
}

function keptStore(name: string): KeyValueStoreSpec<string, Kept> {
  return { kind: 'key-value', name, key: text, value: json<Kept>(), persistent: true, logged: true }
}

function keeper(
  context: ProcessorContext<string, string>,
  { store, type }: { store: KeyValueStoreSpec<string, Kept>; type: PunctuationType },
) {
  const kept = context.store(store)
  context.schedule(INTERVALS_MS[type], type, () => {
    const all = kept.get(ROW) ?? []
    if (all.length === 0) return
    for (const [key, value, timestamp] of all) {
      context.forward(new StreamRecord(key, value, timestamp, NO_HEADERS))
    }
    kept.delete(ROW, all.at(-1)?.[2] ?? 0)
  })
  return ({ key, value, timestamp }: StreamRecord<string, string>): void => {
    kept.put(ROW, [...(kept.get(ROW) ?? []), [key, value, timestamp]], timestamp)
  }
}
