/** Where a run of chaos takes place, as its processes are told of it: JSON in their one argument. */
import { join } from 'node:path'
import type { Clock } from '../../model/clock.ts'
import type { Guarantee } from '../../runtime/config.ts'
import { prepareFolder, readHolder } from '../../transport/embedded/log-folder.ts'
import { openEmbeddedLog } from '../../transport/embedded/open.ts'
import type { Transport } from '../../transport/transport.ts'

/** The log that all processes use. */
export type ChaosLog =
  { readonly kind: 'embedded' } | { readonly kind: 'kafka'; readonly brokers: readonly string[] }

/** The kinds of logs there are. */
export type LogKind = ChaosLog['kind']

/** What every process knows. */
export interface Place {
  /** Holds the states of the processes, what they said, and the embedded log. */
  readonly folder: string
  readonly log: ChaosLog
  /** Where the schemas are. */
  readonly registryUrl: string
  /** Copies of each task's state on other processes. */
  readonly standbys: number
  readonly guarantee: Guarantee
}

/** A process that was not heard of for this long loses its tasks. */
export const SESSION_MS = 1_500

/** How long processes and their feeder wait for a broker that is being started: on a busy machine it takes minutes. */
const BROKER_BACK_MS = 300_000

/** Opens the log of a place. */
export async function openPlace(place: Place, clock: Clock): Promise<Transport> {
  if (place.log.kind === 'kafka') {
    // Loaded only where it is used: a process that is killed every other second starts often.
    const { openKafka } = await import('../../transport/kafka/open.ts')
    const { brokers } = place.log
    const limits = { openDeadlineMs: BROKER_BACK_MS }
    const producer = { deliveryTimeoutMs: BROKER_BACK_MS, initDeadlineMs: BROKER_BACK_MS }
    return await openKafka({ brokers, clock, limits, producer })
  }
  return await openEmbeddedLog({ folder: logFolder(place), clock, share: true })
}

/** The process that holds the embedded log; undefined where nobody does, and of a cluster. */
export async function holderOf(place: Place): Promise<number | undefined> {
  if (place.log.kind !== 'embedded') return undefined
  return (await readHolder(await prepareFolder(logFolder(place))))?.pid
}

function logFolder({ folder }: Pick<Place, 'folder'>): string {
  return join(folder, 'log')
}
