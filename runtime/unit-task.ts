/**
 * A task with what surrounds its loop: state, processors, cursors, and its part in a commit. It
 * begins at committed offsets with fresh processors, and ends by dropping them, as often as the unit
 * rewinds.
 */
import { type Offset, type PartitionOffset, type TopicPartition } from '../model/position.ts'
import type { ProcessorContext, ProcessRecord } from '../processors/processor.ts'
import { changelogRecord, type ChangelogWrite } from '../state/changelog.ts'
import type { Checkpoint } from '../state/checkpoint.ts'
import type { TaskState } from '../state/layers.ts'
import type { ProcessorNode, SinkNode, SourceNode } from '../topology/graph.ts'
import type { CommittedOffset } from '../transport/transport.ts'
import { describeTask, type TaskId } from './assignment.ts'
import { reachOf, type CommittingTask } from './commit.ts'
import { encodeOffsetMetadata } from './offset-metadata.ts'
import type { OpenStore } from './open-topology.ts'
import { RecordQueue, type SourceReading } from './record-queue.ts'
import type { UnitServices } from './services.ts'
import { RecordFailures } from './record-failures.ts'
import { sinkProcess } from './sink.ts'
import { Task } from './task.ts'
import { taskContext } from './task-context.ts'
import { wire, type Ways, type Wiring } from './wiring.ts'
import { BY_REFERENCE } from '../processors/by-reference.ts'

/** Where an input begins. */
export interface StartOffset extends PartitionOffset {
  readonly partitionTime: number
}

/** One running task of a commit unit. */
export class UnitTask implements CommittingTask {
  readonly taskId: TaskId
  readonly loop: Task
  readonly state: TaskState
  readonly #services: UnitServices
  readonly #failures: RecordFailures
  #wiring: Wiring = { sources: new Map(), processors: [] }
  #incarnation = new AbortController()

  constructor(parts: {
    readonly taskId: TaskId
    readonly state: TaskState
    readonly services: UnitServices
  }) {
    this.taskId = parts.taskId
    this.state = parts.state
    this.#services = parts.services
    this.loop = new Task({
      id: describeTask(parts.taskId),
      partition: parts.taskId.partition,
      state: parts.state,
      onWork: parts.services.onWork,
      isFull: () => parts.services.outputs.full,
      clock: parts.services.clock,
      maxIdleMs: parts.services.limits.maxTaskIdleMs,
    })
    this.#failures = new RecordFailures(this.loop, parts.services)
  }

  /** Starts from these offsets with processors that remember nothing but their stores. */
  async begin(starts: readonly StartOffset[]): Promise<void> {
    this.#incarnation = new AbortController()
    this.#wiring = wire({
      subtopology: this.taskId.subtopology,
      partition: this.taskId.partition,
      context: (node, ways) => this.#context(node, ways),
      sink: (node) => this.#sink(node),
      onThrown: (error, processor, record) => this.#failures.onThrown(error, processor, record),
    })
    this.loop.begin(starts.map((start) => this.#input(start)))
    for (const processor of this.#wiring.processors) await processor.open?.()
  }

  /** Drops processors, cursors and what they hold in memory. Stores are not touched. */
  async end(): Promise<void> {
    this.#incarnation.abort(new Error(`task ${this.loop.id} begins anew or ends`))
    for (const { queue } of this.loop.inputs) queue.cursor.close()
    this.loop.holds.clear()
    this.loop.punctuations.clear()
    const { processors } = this.#wiring
    this.#wiring = { sources: new Map(), processors: [] }
    this.loop.begin([])
    await Promise.all(processors.map(async (processor) => await processor.close?.()))
  }

  beforeCommit(): void {
    for (const processor of this.#wiring.processors) processor.beforeCommit?.()
  }

  seal(): readonly ChangelogWrite[] {
    return this.state.seal()
  }

  log(write: ChangelogWrite): void {
    const { outputs } = this.#services
    const store = this.#store(write.store)
    const topic = store.changelog
    if (topic === undefined || store.declaration.changelog !== 'own') return
    const { partition } = this.taskId
    outputs.emitNow(changelogRecord(write, { topic, partition }, store.key.prefix))
  }

  offsets(): readonly CommittedOffset[] {
    const { writer, topicIdOf } = this.#services
    return this.loop.positions().map(({ topic, partition, offset, partitionTime }) => ({
      topic,
      partition,
      offset,
      metadata: encodeOffsetMetadata({ partitionTime, writer, topicId: topicIdOf(topic) }),
    }))
  }

  apply(acknowledged: readonly PartitionOffset[], offsets: readonly CommittedOffset[]): void {
    const reached = new Map<string, Checkpoint>()
    for (const { spec } of this.taskId.subtopology.stores) {
      const store = this.#store(spec.name)
      if (store.changelog === undefined) continue
      const at = { topic: store.changelog, partition: this.taskId.partition }
      const offset =
        store.declaration.changelog === 'own' ? reachOf(acknowledged, at) : committedAt(offsets, at)
      if (offset === undefined) continue
      reached.set(spec.name, { offset, topicId: this.#services.topicIdOf(store.changelog) })
    }
    this.state.commit(reached)
  }

  #input(start: StartOffset): { queue: RecordQueue; process: ProcessRecord<unknown, unknown> } {
    const node = this.#sourceOf(start)
    const process = this.#wiring.sources.get(node.name)
    if (process === undefined) throw new TypeError(`no source is wired for ${start.topic}`)
    const queue = new RecordQueue({
      cursor: this.#services.reader.open(start),
      topicId: this.#services.topicIdOf(start.topic),
      reading: this.#reading(node),
      partitionTime: start.partitionTime,
      events: {
        onUnreadable: (error, record, at) => this.#failures.onUnreadable(error, record, at),
        onLeftOut: (error, record, at) => this.#failures.onLeftOut(error, record, at),
        onSchema: this.#services.onWork,
      },
    })
    return { queue, process }
  }

  #sourceOf({ topic }: TopicPartition): SourceNode {
    for (const node of this.taskId.subtopology.nodes) {
      if (node.kind === 'source' && node.topics.includes(topic)) return node
    }
    throw new TypeError(`task ${this.loop.id} does not read ${topic}`)
  }

  #reading(node: SourceNode): SourceReading {
    const { open } = this.#services
    const pair = open.pairs.get(node.name)
    if (pair === undefined) throw new TypeError(`the serdes of ${node.name} are not open`)
    const children = this.taskId.subtopology.nodes.filter((child) =>
      node.children.includes(child.name),
    )
    const byReference = children.every(
      (child) => child.kind === 'processor' && child.spec.kind === BY_REFERENCE,
    )
    return {
      key: pair.key,
      value: byReference && node.timestamp === undefined ? undefined : pair.value,
      timestamp: node.timestamp,
      clock: this.#services.clock,
    }
  }

  #context(node: ProcessorNode, ways: Ways): ProcessorContext<unknown, unknown> {
    return taskContext({
      node,
      ways,
      task: this.loop,
      signal: this.#incarnation.signal,
      services: this.#services,
      failures: this.#failures,
    })
  }

  #sink(node: SinkNode): ProcessRecord<unknown, unknown> {
    const { open, outputs, partitionsOf } = this.#services
    const serdes = open.pairs.get(node.name)
    if (serdes === undefined) throw new TypeError(`the serdes of ${node.name} are not open`)
    const from = this.taskId.subtopology.nodes.find(({ name }) => name === node.keyUnchangedFrom)
    const source = from?.kind === 'source' ? from.topics[0] : undefined
    return sinkProcess({
      node,
      serdes,
      taskPartition: this.taskId.partition,
      partitions: partitionsOf(node.topic),
      sourcePartitions: source === undefined ? undefined : partitionsOf(source),
      room: outputs.room,
      emit: (record) => outputs.emit(record),
    })
  }

  #store(name: string): OpenStore {
    const store = this.#services.open.stores.get(name)
    if (store === undefined) throw new TypeError(`there is no store ${name}`)
    return store
  }
}

function committedAt(
  offsets: readonly CommittedOffset[],
  at: { readonly topic: string; readonly partition: number },
): Offset | undefined {
  return offsets.find(({ topic, partition }) => topic === at.topic && partition === at.partition)
    ?.offset
}
