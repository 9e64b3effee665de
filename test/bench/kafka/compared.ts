/** The variants of a case on Kafka: ours in the measured process, each peer in one of its own. */
import type { BenchCase, BenchPlace, BenchVariant, BenchWork } from '../bench-case.ts'
import {
  CHILD_DEADLINE_MS,
  deleteTopic,
  openBench,
  recordsIn,
  withTopic,
  type Load,
  type LoadShape,
} from './load.ts'
import type { Moved } from './ours.ts'
import { runPeer, type PeerRun } from './peer-process.ts'
import type { Peer } from './peers.ts'

/** What a variant works on: the load of a run, whose topic exists. */
export type LoadFor = (place: BenchPlace, topic: string) => Load

/** A case in which several clients do the same with values of one size. */
export function clientsCase(
  name: string,
  shape: LoadShape,
  { summary, variants }: Pick<BenchCase, 'summary' | 'variants'>,
): BenchCase {
  return {
    name: `${name}-${shape.name}`,
    summary: `values of ${shape.name} ${summary}, by several clients`,
    unit: unitOf(shape),
    compares: true,
    comparedWith: 'ours',
    needsBroker: true,
    childDeadlineMs: CHILD_DEADLINE_MS,
    variants,
  }
}

/** A peer as a variant that produces into a topic of its own. */
export function producing(peer: Peer, loadFor: LoadFor): BenchVariant {
  return producingBy(peer.name, loadFor, async (load) => await installed(peer, load))
}

/** The same of whatever produces. What is in the topic afterwards is counted. */
export function producingBy(
  name: string,
  loadFor: LoadFor,
  produce: (load: Load) => Promise<PeerRun | string>,
): BenchVariant {
  return {
    name,
    run: async (place, measure) => {
      const asked = loadFor(place, '')
      await using log = await openBench(asked)
      const load = loadFor(place, await withTopic(log))
      await measure(async () => {
        const done = await produce(load)
        if (typeof done === 'string') return absent(done)
        assertMoved(done, load)
        const records = await recordsIn(log, load.topic)
        if (records !== done.records) throw new Error(`${name}: ${records} of ${done.records} came`)
        return workOf(done, load)
      })
      await deleteTopic(log, load.topic)
    },
  }
}

/** Runs a peer, or says why it is not here. */
export async function installed(peer: Peer, load: Load): Promise<PeerRun | string> {
  const command = await hereOrWhy(peer.name, peer.install)
  return typeof command === 'string' ? command : await runPeer(command, load)
}

/** What `install` gives, or why a client is not here. */
export async function hereOrWhy<T>(name: string, install: () => Promise<T>): Promise<T | string> {
  try {
    return await install()
  } catch (error) {
    return `${name} is not here: ${String(error).split('\n')[0]}`
  }
}

/** Throws where not all was moved. */
export function assertMoved({ records, bytes }: Moved, load: Load): void {
  const wanted = load.records * load.valueBytes
  const isWhole = load.file === undefined ? bytes === wanted : bytes > 0
  if (records === load.records && isWhole) return
  throw new Error(`${records} records of ${bytes} bytes were moved, of ${load.records}`)
}

/** The figures of a run elsewhere, in what the case counts. */
export function workOf(done: PeerRun, load: Load): BenchWork {
  return { amount: amountOf(done, load), ...done.cost }
}

/** What was moved, in what the case counts. */
export function amountOf(done: Moved, { valueBytes }: Load): number {
  return done[unitOf({ valueBytes })]
}

/** Small values are counted, of large ones the bytes. */
function unitOf({ valueBytes }: Pick<LoadShape, 'valueBytes'>): 'records' | 'bytes' {
  return valueBytes < 1024 ? 'records' : 'bytes'
}

/** What stands in a table for a client that cannot be had. */
export function absent(reason: string): BenchWork {
  return { amount: 0, elsewhere: true, absent: reason }
}
