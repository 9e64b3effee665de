/** A task while it starts: what it reads, and how its stores come up to date. */
import type { TopicPartition } from '../model/position.ts'
import { untilAborted } from '../model/until-aborted.ts'
import type { Transport } from '../transport/transport.ts'
import type { UnitServices } from './services.ts'
import type { StartingTask } from './start.ts'
import { TaskRestore } from './task-restore.ts'
import type { UnitTask } from './unit-task.ts'

/** The start of one task. */
export class StartingUnitTask implements StartingTask {
  readonly id: string
  readonly inputs: readonly TopicPartition[]
  readonly #transport: Transport
  readonly #restore: TaskRestore

  constructor(task: UnitTask, transport: Transport, services: UnitServices) {
    const { subtopology, partition } = task.taskId
    this.#transport = transport
    this.#restore = new TaskRestore({ taskId: task.taskId, state: task.state, transport, services })
    this.id = task.loop.id
    this.inputs = subtopology.sourceTopics
      .filter((topic) => partition < services.partitionsOf(topic))
      .map((topic) => ({ topic, partition }))
  }

  get changelogs(): readonly TopicPartition[] {
    return this.#restore.changelogs
  }

  get hasState(): boolean {
    return this.#restore.hasState
  }

  async restore({ starts, end, signal }: Parameters<StartingTask['restore']>[0]): Promise<void> {
    const { admin } = this.#transport
    const changelogEnds = await untilAborted(admin.offsets(this.changelogs, 'latest', end), signal)
    const ends = this.#restore.ends(starts, changelogEnds)
    await this.#restore.run({ ends, signal, inLayers: true })
  }
}
