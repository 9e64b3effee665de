/** How a task's stores come up to date: from which topics, how far, and what is told about it. */
import { asOffset, type Offset, type Topic, type TopicPartition } from '../model/position.ts'
import { untilAborted } from '../model/until-aborted.ts'
import type { TaskState } from '../state/layers.ts'
import { describeFullRestore, restoreStores, type RestoreSource } from '../state/restore.ts'
import type { Transport } from '../transport/transport.ts'
import type { TaskId } from './assignment.ts'
import type { OpenStore } from './open-topology.ts'
import type { AppServices } from './services.ts'

/** Whose stores, and from which log. */
export interface TaskRestoreParts {
  readonly taskId: TaskId
  readonly state: TaskState
  readonly transport: Transport
  readonly services: Pick<AppServices, 'open' | 'clock' | 'limits' | 'onEvent'>
}

/** Where inputs begin, as far as they are known. */
export type KnownOffsets = readonly (TopicPartition & { readonly offset: Offset })[]

/** The restore of one task, now or again and again. */
export class TaskRestore {
  readonly #parts: TaskRestoreParts
  readonly #stores: readonly (OpenStore & { readonly changelog: Topic })[]

  constructor(parts: TaskRestoreParts) {
    this.#parts = parts
    this.#stores = parts.taskId.subtopology.stores.flatMap(({ spec }) => {
      const store = parts.services.open.stores.get(spec.name)
      return store?.changelog === undefined ? [] : [{ ...store, changelog: store.changelog }]
    })
  }

  /** The task's own changelogs. */
  get changelogs(): readonly TopicPartition[] {
    return this.#of('own')
  }

  /** The source topics that its tables mirror. */
  get mirrored(): readonly TopicPartition[] {
    return this.#of('source')
  }

  /** Whether there is a checkpoint of a changelog that was ever written to. */
  get hasState(): boolean {
    return this.#stores.some(
      ({ declaration }) =>
        declaration.changelog === 'own' &&
        (this.#parts.state.checkpoint(declaration.spec.name)?.offset ?? 0) > 0,
    )
  }

  /** By store how far it has to go: to the end of its changelog, in the order of `changelogs`, or as far as the task has processed the source it mirrors. */
  ends(processed: KnownOffsets, changelogEnds: readonly Offset[]): ReadonlyMap<string, Offset> {
    const { partition } = this.#parts.taskId
    const ends = new Map<string, Offset>()
    let next = 0
    for (const { declaration, changelog } of this.#stores) {
      const start = processed.find((at) => at.topic === changelog && at.partition === partition)
      const end = declaration.changelog === 'own' ? changelogEnds[next++] : start?.offset
      ends.set(declaration.spec.name, end ?? asOffset(0))
    }
    return ends
  }

  /** Replays what the changelogs have beyond the database, up to these ends. */
  async run({
    ends,
    signal,
    inLayers = false,
  }: {
    readonly ends: ReadonlyMap<string, Offset>
    readonly signal: AbortSignal
    /** For a task that runs next and flushes what a short replay leaves in its layers. */
    readonly inLayers?: boolean
  }): Promise<void> {
    const { transport, services } = this.#parts
    const { clock, limits, onEvent } = services
    const sources: RestoreSource[] = []
    for (const store of this.#stores) sources.push(await this.#source(store, ends, signal))
    await using reader = transport.openReader({
      isolation: 'read_committed',
      prefetchBytes: limits.prefetchBytes,
    })
    const reports = await restoreStores(sources, {
      reader,
      clock,
      signal,
      inLayers,
      onProgress: (progress) => onEvent({ kind: 'restoring', ...progress }),
    })
    for (const [i, { fullBecause, records }] of reports.entries()) {
      const source = sources[i]
      if (fullBecause === undefined || source === undefined) continue
      // The first start of a store has nothing to say.
      if (fullBecause === 'no-checkpoint' && records === 0) continue
      onEvent({ kind: 'notice', message: describeFullRestore(source, fullBecause) })
    }
  }

  #of(kind: 'own' | 'source'): readonly TopicPartition[] {
    const { partition } = this.#parts.taskId
    return this.#stores
      .filter(({ declaration }) => (declaration.changelog === 'own') === (kind === 'own'))
      .map(({ changelog }) => ({ topic: changelog, partition }))
  }

  async #source(
    store: OpenStore & { readonly changelog: Topic },
    ends: ReadonlyMap<string, Offset>,
    signal: AbortSignal,
  ): Promise<RestoreSource> {
    const { state, taskId, transport } = this.#parts
    const at = { topic: store.changelog, partition: taskId.partition }
    const { admin } = transport
    const [described] = await untilAborted(admin.describeTopics([store.changelog]), signal)
    if (described === undefined) {
      throw new TypeError(`the changelog ${store.changelog} was not created`)
    }
    const retention = described.config['delete.retention.ms']
    const { name } = store.declaration.spec
    return {
      ...at,
      state,
      store: name,
      topicId: described.topicId,
      end: ends.get(name) ?? asOffset(0),
      earliest: async () => {
        const asked = admin.offsets([at], 'earliest', 'read_uncommitted')
        const [earliest] = await untilAborted(asked, signal)
        return earliest ?? asOffset(0)
      },
      keyPrefixLength: store.key.prefix.length,
      ...(retention === undefined ? {} : { tombstoneRetentionMs: Number(retention) }),
    }
  }
}
