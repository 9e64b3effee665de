/** A task while its unit starts: what it reads, and how its stores come up to date. */
import { asOffset, type Topic, type TopicPartition } from '../model/position.ts'
import { restoreStores, describeFullRestore, type RestoreSource } from '../state/restore.ts'
import type { Transport } from '../transport/transport.ts'
import type { OpenStore } from './open-topology.ts'
import type { UnitServices } from './services.ts'
import type { StartingTask } from './start.ts'
import type { StartOffset, UnitTask } from './unit-task.ts'

/** The start of one task. */
export class StartingUnitTask implements StartingTask {
  readonly id: string
  readonly inputs: readonly TopicPartition[]
  readonly changelogs: readonly TopicPartition[]
  readonly #task: UnitTask
  readonly #transport: Transport
  readonly #services: UnitServices

  constructor(task: UnitTask, transport: Transport, services: UnitServices) {
    const { subtopology, partition } = task.taskId
    this.#task = task
    this.#transport = transport
    this.#services = services
    this.id = task.loop.id
    this.inputs = subtopology.sourceTopics
      .filter((topic) => partition < services.partitionsOf(topic))
      .map((topic) => ({ topic, partition }))
    this.changelogs = this.#logged()
      .filter(({ declaration }) => declaration.changelog === 'own')
      .map(({ changelog }) => ({ topic: changelog as Topic, partition }))
  }

  /** A checkpoint of a changelog that was ever written to. */
  get hasState(): boolean {
    return this.#logged().some(({ declaration }) => {
      const isOwn = declaration.changelog === 'own'
      return isOwn && (this.#task.state.checkpoint(declaration.spec.name)?.offset ?? 0) > 0
    })
  }

  async restore({ starts, signal }: Parameters<StartingTask['restore']>[0]): Promise<void> {
    const { clock, limits, onEvent } = this.#services
    const sources: RestoreSource[] = []
    for (const store of this.#logged()) sources.push(await this.#source(store, starts))
    await using reader = this.#transport.openReader({
      isolation: 'read_committed',
      prefetchBytes: limits.prefetchBytes,
    })
    const reports = await restoreStores(sources, {
      reader,
      clock,
      signal,
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

  #logged(): readonly OpenStore[] {
    const { open } = this.#services
    return this.#task.taskId.subtopology.stores.flatMap(({ spec }) => {
      const store = open.stores.get(spec.name)
      return store?.changelog === undefined ? [] : [store]
    })
  }

  async #source(store: OpenStore, starts: readonly StartOffset[]): Promise<RestoreSource> {
    const { admin } = this.#transport
    const { partition } = this.#task.taskId
    const topic = store.changelog as Topic
    const at = { topic, partition }
    const described = (await admin.describeTopics([topic]))[0]
    if (described === undefined) throw new TypeError(`the changelog ${topic} was not created`)
    const retention = described.config['delete.retention.ms']
    return {
      ...at,
      state: this.#task.state,
      store: store.declaration.spec.name,
      topicId: described.topicId,
      end: await this.#end(store, at, starts),
      earliest: async () => {
        const [earliest] = await admin.offsets([at], 'earliest', 'read_uncommitted')
        return earliest ?? asOffset(0)
      },
      keyPrefixLength: store.key.prefix.length,
      ...(retention === undefined ? {} : { tombstoneRetentionMs: Number(retention) }),
    }
  }

  /** A changelog of the task's own is read to its end; a table's source only as far as the task has processed it. */
  async #end(store: OpenStore, at: TopicPartition, starts: readonly StartOffset[]) {
    if (store.declaration.changelog === 'own') {
      const [end] = await this.#transport.admin.offsets([at], 'latest', 'read_uncommitted')
      return end ?? asOffset(0)
    }
    const start = starts.find(
      ({ topic, partition }) => topic === at.topic && partition === at.partition,
    )
    return start?.offset ?? asOffset(0)
  }
}
