/**
 * The log that a command works on, with the registry that belongs to it. The registry of an embedded
 * log is a file of the log's folder, so that the folder is whole when it is copied; that of a cluster
 * is named beside it.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../model/clock.ts'
import { MillraceError } from '../model/errors.ts'
import { fileRegistry } from '../serdes/file-registry.ts'
import { heldRegistry, registrar } from '../serdes/held-registry.ts'
import type { Registry } from '../serdes/registry.ts'
import { openEmbeddedLog } from '../transport/embedded/open.ts'
import type { Transport } from '../transport/transport.ts'
import type { LogPlace } from './log-place.ts'
import type { OpenCluster } from './open-cluster.ts'

const REGISTRY_FILE = 'schemas.jsonl'

/** A log and its registry. */
export interface OpenLog extends AsyncDisposable {
  readonly transport: Transport
  readonly registry: Registry
  /** What only a Kafka cluster has. */
  readonly cluster?: OpenCluster
}

/** How a command wants its log. */
export interface OpenLogOptions {
  readonly clock: Clock
  /** Refuses to make an embedded one: who only reads would read nothing. */
  readonly existing?: boolean
  /** Nobody else may use an embedded one meanwhile. */
  readonly isAlone?: boolean
  /** Refuses a cluster without a place for schemas. */
  readonly needsSchemas?: boolean
  /** Copies of topics that are made in a cluster; otherwise as many as the brokers have as their default. */
  readonly replication?: number | undefined
  /** Ends the wait for a cluster, or for another process that holds the folder. */
  readonly signal?: AbortSignal
}

/** Opens a log, an embedded one together with other commands that use it. A path alone is that of an embedded log. */
export async function openLog(place: LogPlace | string, options: OpenLogOptions): Promise<OpenLog> {
  if (typeof place === 'string') return await openEmbedded(place, options)
  if (place.kind === 'embedded') return await openEmbedded(place.folder, options)
  // Who works on an embedded log need not wait for a client of Kafka to be loaded.
  const { openKafkaLog } = await import('./open-cluster.ts')
  return await openKafkaLog(place, options)
}

async function openEmbedded(
  path: string,
  { clock, existing = false, isAlone = false, signal }: OpenLogOptions,
): Promise<OpenLog> {
  if (existing && (await stat(path).catch(() => undefined)) === undefined) {
    const message = `there is no embedded log at ${path}; give the folder that ingest, run or topics --create was given`
    throw new MillraceError('MILLRACE_LOG_MISSING', message, { place: path })
  }
  const file = fileRegistry(join(path, REGISTRY_FILE))
  const holderTask = registrar(file)
  const transport = await openEmbeddedLog({
    folder: path,
    clock,
    share: !isAlone,
    holderTask,
    ...(signal && { signal }),
  })
  return {
    transport,
    registry: heldRegistry(file, (request) => transport.askHolder(request)),
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  }
}
