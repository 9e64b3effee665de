/** How fast a file comes into the embedded log, at two sizes of chunks. */
import { join } from 'node:path'
import { systemClock } from '../../../runtime/system-clock.ts'
import { fileRegistry } from '../../../serdes/file-registry.ts'
import type { Registry } from '../../../serdes/registry.ts'
import { openEmbeddedLog } from '../../../transport/embedded/open.ts'
import type { Transport } from '../../../transport/transport.ts'
import { ingest } from '../../../video/ingest.ts'
import { videoTopics } from '../../../video/topics.ts'
import type { BenchCase, BenchPlace, BenchVariant } from '../bench-case.ts'
import { plainCopy, prepareVideo, systemCopy, videoPath } from './plain-copy.ts'

/** The sizes of chunks that are compared. */
export const CHUNK_MIBS: readonly number[] = [5, 10]

/** Where a log's folder keeps its schemas. */
const REGISTRY_FILE = 'schemas.json'

/** An opened log with its schemas. */
export interface BenchLog extends AsyncDisposable {
  readonly transport: Transport
  readonly registry: Registry
}

/** Opens the log of a run. */
export async function openLog({ folder }: BenchPlace): Promise<BenchLog> {
  const clock = systemClock()
  const transport = await openEmbeddedLog({ folder: join(folder, 'log'), clock })
  const registry = fileRegistry(join(folder, 'log', REGISTRY_FILE))
  return { transport, registry, [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose]() }
}

/** Brings the run's video into its log. */
export async function ingestVideo(
  log: BenchLog,
  place: BenchPlace,
  chunkBytes: number,
): Promise<void> {
  const { transport, registry } = log
  await transport.admin.createTopics(videoTopics({ chunkBytes }))
  await ingest({ transport, registry, clock: systemClock(), path: videoPath(place), chunkBytes })
}

function variant(mib: number): BenchVariant {
  return {
    name: `ingest, ${mib} MiB chunks`,
    prepare: prepareVideo,
    run: async (place, measure) => {
      await using log = await openLog(place)
      await measure(async () => {
        await ingestVideo(log, place, mib * 2 ** 20)
        return { amount: place.sizeBytes }
      })
    },
  }
}

/** The case. */
export const ingestRate: BenchCase = {
  name: 'ingest',
  summary: 'a generated mp4 into the embedded log, in transactions, with SHA-256 and CRC-32C',
  unit: 'bytes',
  compares: true,
  variants: [plainCopy, systemCopy, ...CHUNK_MIBS.map(variant)],
}
