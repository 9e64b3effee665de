/**
 * Looks at what disks keep when nobody runs on them: never anything that the log has not committed.
 *
 * For each store, `checkpoint` says how far its changelog is reflected. The rule: the checkpoint is
 * within the committed log, and each key has the value that the changelog gave it at the checkpoint,
 * or one that was committed later (a flush is cut into slices, of which the last one carries the
 * checkpoint; a crash may leave the first ones). Whatever else is there came from a transaction that
 * was aborted, or ran ahead.
 */
import type { Clock } from '../../model/clock.ts'
import { isMillraceError } from '../../model/errors.ts'
import { asOffset, asPartition, type TopicPartition } from '../../model/position.ts'
import type { Guarantee } from '../../runtime/config.ts'
import { openTopology, type OpenStore, type OpenTopology } from '../../runtime/open-topology.ts'
import type { Registry } from '../../serdes/registry.ts'
import { restoredWrite } from '../../state/changelog.ts'
import { decodeCheckpoint } from '../../state/checkpoint.ts'
import { checkpointKey, storePrefix } from '../../state/keys.ts'
import { layoutOf } from '../../state/layouts.ts'
import type { MemoryDisk } from '../../state/memory-database.ts'
import { SeededRandom } from '../../testing/seeded-random.ts'
import type { Topology } from '../../topology/graph.ts'
import type { MemoryLog } from '../../transport/memory/memory-log.ts'
import { APPLICATION } from './app-factory.ts'
import type { Disks } from './process.ts'

/** What an audit is made of. */
export interface DiskAuditParts {
  readonly log: MemoryLog
  readonly registry: Registry
  readonly clock: Clock
  readonly guarantee: Guarantee
  readonly topology: (services: {
    readonly clock: Clock
    readonly random: SeededRandom
  }) => Topology
}

/** A value that a changelog gave a key; null removed it. */
interface Version {
  readonly offset: number
  readonly value: Buffer | null
}

/** The audit of one world. */
export class DiskAudit {
  readonly #parts: DiskAuditParts
  #open: OpenTopology | undefined

  constructor(parts: DiskAuditParts) {
    this.#parts = parts
  }

  /** Must come first. */
  async open(): Promise<void> {
    const { topology, registry, clock } = this.#parts
    const declared = topology({ clock, random: new SeededRandom(0) })
    this.#open = await openTopology(declared, APPLICATION, { registry, clock })
  }

  /** What is wrong with the disks of one machine. */
  async look(who: string, disks: Disks): Promise<readonly string[]> {
    const problems: string[] = []
    for (const tasks of disks.values()) {
      for (const [task, disk] of tasks) {
        const found = await this.#lookAtTask(task, disk)
        problems.push(...found.map((problem) => `${who}: ${problem}`))
      }
    }
    return problems
  }

  async #lookAtTask(task: string, disk: MemoryDisk): Promise<readonly string[]> {
    const open = this.#open
    const [id, partition] = task.split('_').map(Number)
    const subtopology = open?.topology.subtopologies.find((one) => Number(one.id) === id)
    if (open === undefined || subtopology === undefined) return [`${task} is no task`]
    const problems: string[] = []
    for (const { spec } of subtopology.stores) {
      const store = open.stores.get(spec.name)
      if (store?.changelog === undefined || !spec.persistent) continue
      const at = { topic: store.changelog, partition: asPartition(partition ?? 0) }
      problems.push(...(await this.#lookAtStore(store, at, disk)))
    }
    return problems
  }

  async #lookAtStore(store: OpenStore, at: TopicPartition, disk: MemoryDisk): Promise<string[]> {
    const { spec } = store.declaration
    const where = `store ${spec.name}[${at.partition}]`
    const bytes = disk.entries.get(checkpointKey(spec.name).toString('latin1'))
    const checkpoint = bytes === undefined ? 0 : decodeCheckpoint(bytes, spec.name).offset
    const end = await this.#committedEnd(store, at)
    if (checkpoint > end) {
      return [`${where} reflects ${at.topic} up to ${checkpoint}, which is committed up to ${end}`]
    }
    // What a dead process had sent may come at any time: the log is no history of one writer.
    if (this.#parts.guarantee === 'at-least-once') return []
    // Stores with times keep their time beside their rows, and drop what is over, without a word to the log.
    if (layoutOf(spec) !== undefined) return []
    const prefix = storePrefix(spec.name).toString('latin1')
    const history = this.#history(store, at)
    const problems: string[] = []
    for (const [key, value] of disk.entries) {
      if (!key.startsWith(prefix)) continue
      if (isAllowed(value, history.get(key) ?? [], checkpoint)) continue
      problems.push(`${where} holds ${describe(key, value)}, which ${at.topic} does not say`)
    }
    for (const [key, versions] of history) {
      if (disk.entries.has(key) || isAllowed(null, versions, checkpoint)) continue
      problems.push(`${where} lacks ${describe(key, null)} of ${at.topic} at ${checkpoint}`)
    }
    return problems
  }

  /** How far the topic holds what is committed: for a table's source, how far its task has processed it. */
  async #committedEnd(store: OpenStore, at: TopicPartition): Promise<number> {
    const { admin } = this.#parts.log
    const [end = asOffset(0)] = await admin.offsets([at], 'latest', 'read_committed')
    if (store.declaration.changelog === 'own') return end
    try {
      const [committed] = await admin.committedOffsets(APPLICATION, [at])
      return committed?.offset ?? 0
    } catch (error) {
      // A transaction is open that commits further: the log's end is all that can be said.
      if (isMillraceError(error, 'MILLRACE_OFFSETS_PENDING')) return end
      throw error
    }
  }

  /** Every value that each key of the store ever had, by its key in the database. */
  #history(store: OpenStore, at: TopicPartition): ReadonlyMap<string, readonly Version[]> {
    const { spec } = store.declaration
    const keyPrefixLength = store.key.prefix.length
    const from = { ...at, storePrefix: storePrefix(spec.name), keyPrefixLength }
    const versions = new Map<string, Version[]>()
    for (const record of this.#parts.log.records(at)) {
      const write = restoredWrite(record, from)
      if (write === undefined) continue
      const text = write.key.toString('latin1')
      const own = versions.get(text) ?? []
      versions.set(text, own)
      own.push({ offset: record.offset, value: write.value })
    }
    return versions
  }
}

/** Whether a key may have this value on a disk that reflects its changelog up to `checkpoint`. */
function isAllowed(
  value: Buffer | null,
  versions: readonly Version[],
  checkpoint: number,
): boolean {
  let atCheckpoint: Buffer | null = null
  for (const version of versions) {
    if (version.offset < checkpoint) atCheckpoint = version.value
    else if (isSame(version.value, value)) return true
  }
  return isSame(atCheckpoint, value)
}

function isSame(one: Buffer | null, other: Buffer | null): boolean {
  return one === null || other === null ? one === other : one.equals(other)
}

function describe(key: string, value: Buffer | null): string {
  return JSON.stringify(value === null ? key : `${key}: ${value.toString('latin1')}`)
}
