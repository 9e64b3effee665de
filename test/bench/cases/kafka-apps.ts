/**
 * Applications on a Kafka broker, as processes of their own: what exactly-once costs against
 * at-least-once, what more partitions and more processes bring, and the flagship's join by reference
 * and with bytes. Processor time and memory are the applications' own, from their input's arrival on.
 *
 * On a broker that is started for each run, or on that of MILLRACE_BENCH_BROKERS.
 */
import type { BenchCase, BenchPlace, BenchVariant, Measure } from '../bench-case.ts'
import { chunksAndAnnotations, smallRecords, type Inputs } from '../apps/app-inputs.ts'
import { runApp, type AppRun } from '../apps/app-run.ts'
import { TestCluster } from '../../kafka/broker.ts'

type Shape = Omit<AppRun, 'inputs' | 'amount'>

const GUARANTEES = ['at-least-once', 'exactly-once'] as const
const CHUNK_MIBS = [5, 10] as const

/** The broker is behind the applications: it must not be what is measured. */
async function onBroker(
  { folder }: BenchPlace,
  use: (place: { readonly brokers: readonly string[]; readonly folder: string }) => Promise<void>,
): Promise<void> {
  const given = process.env['MILLRACE_BENCH_BROKERS']
  if (given !== undefined) return await use({ brokers: given.split(','), folder })
  await using cluster = await TestCluster.start()
  await use({ brokers: cluster.brokers, folder })
}

function variant(
  name: string,
  shape: Shape,
  load: (place: BenchPlace) => Pick<AppRun, 'inputs' | 'amount'>,
): BenchVariant {
  return {
    name,
    run: async (place: BenchPlace, measure: Measure) =>
      await onBroker(place, async (at) => await runApp({ ...shape, ...load(place) }, at, measure)),
  }
}

function small(name: string, shape: Shape): BenchVariant {
  return variant(name, shape, ({ records }) => ({
    inputs: smallRecords(records),
    amount: records,
  }))
}

function video(mib: number, name: string, shape: Shape): BenchVariant {
  const chunkBytes = mib * 2 ** 20
  return variant(`${name}, ${mib} MiB chunks`, shape, ({ sizeBytes }) => {
    const inputs: Inputs = chunksAndAnnotations(sizeBytes, chunkBytes)
    return { inputs, amount: Math.max(1, Math.floor(sizeBytes / chunkBytes)) * chunkBytes }
  })
}

/** Small records. */
export const kafkaApps: BenchCase = {
  name: 'kafka-apps',
  summary: 'small records through applications on Kafka, until all outputs are committed',
  unit: 'records',
  compares: false,
  needsBroker: true,
  variants: [
    ...(['pass', 'count'] as const).flatMap((topology) =>
      GUARANTEES.map((guarantee) =>
        small(`${topology}, ${guarantee}`, { topology, guarantee, partitions: 4, processes: 1 }),
      ),
    ),
    ...[1, 2].map((partitions) =>
      small(`pass, exactly-once, of ${partitions} partitions`, {
        topology: 'pass',
        guarantee: 'exactly-once',
        partitions,
        processes: 1,
      }),
    ),
    ...(['pass', 'count'] as const).map((topology) =>
      small(`${topology}, exactly-once, 2 processes`, {
        topology,
        guarantee: 'exactly-once',
        partitions: 4,
        processes: 2,
      }),
    ),
  ],
}

/** The flagship's join. */
export const kafkaVideo: BenchCase = {
  name: 'kafka-apps-video',
  summary: 'chunks joined with their annotations on Kafka, until all pairs are committed',
  unit: 'bytes',
  compares: false,
  needsBroker: true,
  variants: [
    ...GUARANTEES.flatMap((guarantee) =>
      (['ref', 'full'] as const).flatMap((joined) =>
        CHUNK_MIBS.map((mib) =>
          video(mib, `${joined === 'ref' ? 'by reference' : 'with bytes'}, ${guarantee}`, {
            topology: 'ss',
            joined,
            guarantee,
            partitions: 1,
            processes: 1,
          }),
        ),
      ),
    ),
    video(5, 'with bytes in the state, too, exactly-once', {
      topology: 'ss',
      joined: 'copies',
      guarantee: 'exactly-once',
      partitions: 1,
      processes: 1,
    }),
  ],
}
