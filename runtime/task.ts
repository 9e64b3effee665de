/**
 * The record loop. A task takes the head with the smallest timestamp, runs it through its
 * processors depth first, and moves on; answers of asynchronous steps come in as events between two
 * records. All of it is synchronous: no promise per record, and a store read sees the write before.
 * How the work becomes durable is runtime/commit.ts; what happens after an error is runtime/unit.ts.
 */
import type { CommittedOffset } from '../transport/transport.ts'
import { asPartition, asTopic, type Partition } from '../model/position.ts'
import type { Clock } from '../model/clock.ts'
import type { ProcessRecord, PunctuationType, SourceRecord } from '../processors/processor.ts'
import type { TaskState } from '../state/layers.ts'
import { Punctuations } from './punctuations.ts'
import type { RecordQueue } from './record-queue.ts'
import { TaskIdling } from './task-idling.ts'
import { TimeHolds } from './time-holds.ts'

/** An input of a task: the queue and the first processor behind the source. */
export interface TaskInput {
  readonly queue: RecordQueue
  readonly process: ProcessRecord<unknown, unknown>
}

interface TaskEvent {
  readonly run: () => void
  readonly origin: string | undefined
}

/** One sub-topology on one partition, running. */
export class Task {
  /** `<subtopology>_<partition>`. */
  readonly id: string
  readonly partition: Partition
  readonly state: TaskState
  readonly holds = new TimeHolds()
  readonly punctuations = new Punctuations()
  readonly idling: TaskIdling
  readonly #onWork: () => void
  readonly #isFull: () => boolean
  readonly #clock: Clock
  #inputs: readonly TaskInput[] = []
  #current: RecordQueue | undefined
  #events: TaskEvent[] = []
  /** Of the event that runs. */
  #eventOrigin: string | undefined
  #streamTime = -1
  #processed = 0

  constructor(parts: {
    readonly id: string
    readonly partition: Partition
    readonly state: TaskState
    readonly onWork: () => void
    /** Whether what was made so far has to leave before more is made. */
    readonly isFull: () => boolean
    readonly clock: Clock
    readonly maxIdleMs: number
  }) {
    this.id = parts.id
    this.idling = new TaskIdling(parts.clock, parts.maxIdleMs)
    this.partition = parts.partition
    this.state = parts.state
    this.#onWork = parts.onWork
    this.#isFull = parts.isFull
    this.#clock = parts.clock
  }

  /** Begins with these inputs: at the start, and again after a rewind. */
  begin(inputs: readonly TaskInput[]): void {
    this.#inputs = inputs
    this.#events = []
    this.idling.clear()
    this.#current = undefined
    this.#streamTime = Math.max(-1, ...inputs.map(({ queue }) => queue.partitionTime))
  }

  /** Runs the events that are there, then records, at most `limit` of both together and none once its outputs are full. Returns how many it ran. */
  run(limit: number): number {
    let done = this.#runEvents(limit) + this.#punctuateByClock()
    while (done < limit && !this.#isFull()) {
      const input = this.#next()
      if (input === undefined) break
      this.#process(input)
      done += 1
      if (this.#streamTime >= this.punctuations.nextStreamMs) done += this.#punctuate('stream-time')
      if (this.#events.length > 0) done += this.#runEvents(limit - done)
    }
    return done
  }

  /** Queues an event of an operator. */
  enqueue(run: () => void, origin?: string): void {
    this.#events.push({ run, origin })
    this.#onWork()
  }

  /** The record being processed; undefined inside an event. Its bytes stay as they are, for who asks may keep them. */
  source(): SourceRecord | undefined {
    const source = this.leasedSource()
    source?.lease?.giveUp()
    return source
  }

  /** The same for a step that keeps its bytes only while it holds the lease. */
  leasedSource(): SourceRecord | undefined {
    const queue = this.#current
    if (queue === undefined) return undefined
    const { topic, topicId, partition } = queue.cursor
    const { leaderEpoch, headRecord: record, lease } = queue
    return { topic, topicId, partition, leaderEpoch, record, lease }
  }

  /** The place of the record being processed, or what the running event is about. */
  origin(): string | undefined {
    const queue = this.#current
    if (queue === undefined) return this.#eventOrigin
    const { topic, topicId, partition } = queue.cursor
    return `${topic}/${topicId}/${partition}/${queue.headRecord.offset}`
  }

  /** The largest timestamp processed; -1 before the first. */
  get streamTime(): number {
    return this.#streamTime
  }

  /** Records processed, events and punctuations run since the task was made. */
  get processed(): number {
    return this.#processed
  }

  /** Whether everything up to the last stable offset of every input was processed. */
  get caughtUp(): boolean {
    if (this.#events.length > 0) return false
    return this.#inputs.every(({ queue }) => queue.lag === 0)
  }

  get inputs(): readonly TaskInput[] {
    return this.#inputs
  }

  /** Where each input stands: every record before is processed, or stands in a pending store. */
  positions(): Omit<CommittedOffset & { readonly partitionTime: number }, 'metadata'>[] {
    return this.#inputs.map(({ queue }) => ({
      topic: asTopic(queue.cursor.topic),
      partition: asPartition(queue.cursor.partition),
      offset: queue.position,
      partitionTime: queue.partitionTime,
    }))
  }

  #runEvents(limit: number): number {
    let done = 0
    while (done < limit && done < this.#events.length && !this.#isFull()) {
      const event = this.#events[done] as TaskEvent
      done += 1
      this.#eventOrigin = event.origin
      event.run()
    }
    this.#eventOrigin = undefined
    this.#events.splice(0, done)
    this.#processed += done
    return done
  }

  #punctuateByClock(): number {
    if (this.punctuations.nextWallMs === Infinity || this.#isFull()) return 0
    return this.#clock.now() >= this.punctuations.nextWallMs ? this.#punctuate('wall-clock') : 0
  }

  #punctuate(type: PunctuationType): number {
    const now = type === 'stream-time' ? this.#streamTime : this.#clock.now()
    const done = this.punctuations.run(type, now)
    this.#processed += done
    return done
  }

  #process(input: TaskInput): void {
    const { queue } = input
    if (queue.headTimestamp > this.#streamTime) this.#streamTime = queue.headTimestamp
    this.#current = queue
    input.process(queue.head)
    this.#current = undefined
    queue.advance()
    this.#processed += 1
  }

  /** The input whose turn it is: the smallest head timestamp, the first of equal ones. Undefined while an empty input is waited for, which may still have an older record. */
  #next(): TaskInput | undefined {
    let next: TaskInput | undefined
    let isWaiting = false
    for (const input of this.#inputs) {
      if (!input.queue.fill()) {
        // Not the end of the look: all waits begin together.
        if (!this.idling.mayPass(input.queue)) isWaiting = true
      } else {
        this.idling.filled(input.queue)
        if (next === undefined || input.queue.headTimestamp < next.queue.headTimestamp) next = input
      }
    }
    return isWaiting ? undefined : next
  }
}
