/**
 * A unit's share of a group: what the members agreed on, turned into tasks, and told to whoever runs
 * them. The membership calls one thing at a time and waits for the answer, so the order of this file
 * is the order of a rebalance: joining, revoked, assigned; or lost.
 *
 * The membership outlives the lives of its unit: a life that fails and starts over keeps its tasks.
 * Only a lost membership takes the life with it, for what that life has not committed must never be.
 */
import type { Clock } from '../model/clock.ts'
import { asError, isMillraceError, MillraceError } from '../model/errors.ts'
import { describePartition, type Topic, type TopicPartition } from '../model/position.ts'
import type { Subtopology } from '../topology/graph.ts'
import { standstillOf } from '../transport/group-silence.ts'
import type {
  Assigned,
  Membership,
  MembershipListener,
  MembershipOptions,
} from '../transport/membership.ts'
import type { GroupMetadata } from '../transport/transport.ts'
import { allTasks, describeTask, type TaskId } from './assignment.ts'
import type { StreamsLimits } from './config.ts'
import { ACCEPTABLE_LAG, groupAssignor } from './group-assignor.ts'
import {
  decodeAssignmentData,
  encodeJoinData,
  type AssignmentData,
  type TaskOnDisk,
  type TaskOwner,
} from './group-user-data.ts'
import { fitOf, predecessorOf } from './inherited-share.ts'
import type { Share, ShareHolder } from './share.ts'

/** What a share of a group is made of. */
export interface GroupShareParts {
  readonly openMembership: (options: MembershipOptions) => Membership
  readonly application: string
  readonly subtopologies: readonly Subtopology[]
  readonly partitionsOf: (topic: Topic) => number
  /** Of the topology and the version. */
  readonly fingerprint: string
  /** What the author calls it; '' where it has no name. */
  readonly version: string
  /** Where the process can be asked, if it can. */
  readonly address: string | undefined
  readonly processId: string
  /** The name that outlives the process, if it has one. */
  readonly instanceId: string | undefined
  /** Copies of each task's state on other processes. */
  readonly standbys: number
  /** Tasks whose state lies here, whether they run or not. */
  readonly tasksOnDisk: () => Promise<readonly string[]>
  /** Told when the process is about to lose its place, and why. */
  readonly onNotice: (message: string) => void
  /** Tells it where the event loop cannot, from outside of it. */
  readonly clock: Pick<Clock, 'watchLoop'>
  readonly limits: Pick<
    StreamsLimits,
    'sessionTimeoutMs' | 'rebalanceTimeoutMs' | 'heartbeatIntervalMs'
  >
}

/** Changelog records by which state counts as behind where nobody has looked: worth more than none, no more than any copy that is near enough. */
const UNKNOWN_LAG = ACCEPTABLE_LAG

/** The transactional id of a process in a group. */
export function groupTransactionalId(application: string, processId: string): string {
  return `${application}-${processId}`
}

/** A share that changes with the members. */
export class GroupShare implements Share, MembershipListener {
  readonly #parts: GroupShareParts
  readonly #tasks: readonly TaskId[]
  #membership: Membership | undefined
  #holder: ShareHolder | undefined
  #active: readonly TaskId[] | undefined
  #standby: readonly TaskId[] = []
  #processes: readonly string[] = []
  #owners: readonly TaskOwner[] = []
  #onDisk: readonly string[] = []
  readonly #departed = new Set<string>()
  /** Whether what is owned belongs to another topology: it is claimed, and nothing of it runs. */
  #isIdle = false
  /** From `joining` to `assigned`: a life that begins in between has to hold its rounds as well. */
  #isJoining = false
  #holding: Promise<void> | undefined
  /** Why the last membership ended for good, until the next one is begun. */
  #ended: Error | undefined

  constructor(parts: GroupShareParts) {
    this.#parts = parts
    this.#tasks = allTasks(parts.subtopologies, parts.partitionsOf)
  }

  get active(): readonly TaskId[] | undefined {
    return this.#active
  }

  get standby(): readonly TaskId[] {
    return this.#standby
  }

  /** Who runs what in the whole group, as of the last assignment. */
  get owners(): readonly TaskOwner[] {
    return this.#owners
  }

  get group(): GroupMetadata {
    if (this.#ended !== undefined) throw this.#ended
    const metadata = this.#membership?.metadata
    if (metadata === undefined || metadata.generation < 0) throw groupLost(this.#parts.application)
    return metadata
  }

  get aliveUntilMs(): number {
    return this.#membership?.aliveUntilMs ?? -Infinity
  }

  get departed(): readonly string[] {
    return [...this.#departed]
  }

  isAlive(transactionalId: string): boolean {
    if (this.#departed.has(transactionalId)) return false
    return this.#processes.some((id) => this.#transactionalId(id) === transactionalId)
  }

  fenced(transactionalIds: readonly string[]): void {
    for (const id of transactionalIds) this.#departed.delete(id)
  }

  hold(holder: ShareHolder): void {
    this.#holder = holder
    // Another process has this one's instance id, and with it the share: no life may join again.
    if (isMillraceError(this.#ended, 'MILLRACE_GROUP_INSTANCE_FENCED')) {
      holder.failed(this.#ended)
      return
    }
    this.#ended = undefined
    if (this.#isJoining) this.#holding = holder.joining()
    this.#membership ??= this.#join()
  }

  release(): void {
    this.#holder = undefined
  }

  async leave(): Promise<void> {
    await this.#membership?.leave()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#membership?.[Symbol.asyncDispose]()
  }

  async joining(): Promise<void> {
    this.#isJoining = true
    this.#onDisk = await this.#parts.tasksOnDisk()
    await this.#holder?.joining()
  }

  async revoked(partitions: readonly TopicPartition[]): Promise<void> {
    const gone = new Set(partitions.map(describePartition))
    this.#active = this.#active?.filter(
      ({ subtopology, partition }) =>
        !subtopology.sourceTopics.some((topic) =>
          gone.has(describePartition({ topic, partition })),
        ),
    )
    await this.#holder?.trimmed()
  }

  async assigned({ all, userData, metadata }: Assigned): Promise<void> {
    this.#isJoining = false
    // A hold that is still on its way would come after what ends it.
    await this.#holding
    const data = decodeAssignmentData(userData)
    const { memberId } = metadata
    const { processId, fingerprint, standbys: copies, partitionsOf } = this.#parts
    const sourceTopics = this.#sourceTopics
    const fit = fitOf(data, {
      memberId,
      processId,
      fingerprint,
      copies,
      sourceTopics,
      partitionsOf,
    })
    if (data.refused !== undefined && !fit.isInherited) {
      throw new MillraceError('MILLRACE_GROUP_OTHER_TOPOLOGY', data.refused)
    }
    this.#isIdle = fit.isForeign
    this.#take(data, all)
    if (fit.isOutdated) this.#membership?.requestRebalance()
    this.#holder?.changed()
  }

  async lost(_partitions: readonly TopicPartition[], reason?: Error): Promise<void> {
    this.#active = undefined
    this.#standby = []
    this.#isIdle = false
    await this.#holder?.lost(reason ?? groupLost(this.#parts.application))
  }

  #take(data: AssignmentData, all: readonly TopicPartition[]): void {
    const { processes, departed, standbys, owners } = data
    const own = new Set(all.map(describePartition))
    const active = this.#tasks.filter((task) => this.#inputsOf(task).every((at) => own.has(at)))
    const copies = new Set(standbys)
    this.#active = this.#isIdle ? undefined : active
    this.#standby = this.#isIdle ? [] : this.#tasks.filter((task) => copies.has(describeTask(task)))
    this.#processes = processes
    this.#owners = owners
    for (const id of departed) this.#departed.add(this.#transactionalId(id))
    for (const id of processes) this.#departed.delete(this.#transactionalId(id))
    const tasks = (this.#active ?? []).map(describeTask)
    const predecessor = predecessorOf(data, { processId: this.#parts.processId, tasks })
    if (predecessor !== undefined) this.#departed.add(this.#transactionalId(predecessor))
  }

  get #sourceTopics(): readonly Topic[] {
    const { subtopologies } = this.#parts
    return [...new Set(subtopologies.flatMap(({ sourceTopics }) => sourceTopics))]
  }

  #join(): Membership {
    const { application, instanceId, limits, subtopologies, standbys } = this.#parts
    const membership = this.#parts.openMembership({
      groupId: application,
      ...(instanceId === undefined ? {} : { groupInstanceId: instanceId }),
      topics: this.#sourceTopics,
      assignor: groupAssignor({
        subtopologies: subtopologies.map(({ id, sourceTopics, stores }) => ({
          id,
          sourceTopics,
          logged: stores.some(({ spec }) => spec.logged),
        })),
        fingerprint: this.#parts.fingerprint,
        standbys,
      }),
      userData: () => this.#joinData(),
      listener: this,
      sessionTimeoutMs: limits.sessionTimeoutMs,
      rebalanceTimeoutMs: limits.rebalanceTimeoutMs,
      heartbeatIntervalMs: limits.heartbeatIntervalMs,
      onNotice: this.#parts.onNotice,
    })
    const watch = this.#watch()
    membership.closed
      .finally(() => watch?.[Symbol.dispose]())
      .catch((error: unknown) => this.#closed(asError(error)))
    membership.start()
    return membership
  }

  #watch(): Disposable | undefined {
    const { clock, application, limits, onNotice } = this.#parts
    return clock.watchLoop?.({
      ...standstillOf(application, limits.sessionTimeoutMs),
      onFailed: ({ message }) => {
        onNotice(
          `Nothing watches whether this process stands still, for a thread could not be started or has ended: ${message}`,
        )
      },
    })
  }

  #closed(error: Error): void {
    this.#membership = undefined
    this.#active = undefined
    this.#isIdle = false
    this.#isJoining = false
    this.#ended = error
    this.#holder?.failed(error)
  }

  #joinData(): Buffer {
    const { processId, fingerprint, version, address } = this.#parts
    const running = new Set((this.#active ?? []).map(describeTask))
    const rest = new Set([...this.#standby.map(describeTask), ...this.#onDisk])
    const tasks: TaskOnDisk[] = [
      ...[...running].map((id) => ({ id, lag: 0 })),
      ...[...rest.difference(running)].map((id): TaskOnDisk => {
        const lag = this.#holder?.lagOf(id)
        return lag === undefined ? { id, lag: UNKNOWN_LAG, isGuess: true } : { id, lag }
      }),
    ]
    return encodeJoinData({
      processId,
      fingerprint,
      version,
      ...(address === undefined ? {} : { clientAddress: address }),
      tasks,
      knownProcesses: this.#processes,
      ...(this.#isIdle ? { isIdle: true } : {}),
    })
  }

  #inputsOf({ subtopology, partition }: TaskId): readonly string[] {
    const { partitionsOf } = this.#parts
    return subtopology.sourceTopics
      .filter((topic) => partition < partitionsOf(topic))
      .map((topic) => describePartition({ topic, partition }))
  }

  #transactionalId(processId: string): string {
    return groupTransactionalId(this.#parts.application, processId)
  }
}

/** The group has put this process out, or it has not joined yet. */
function groupLost(application: string): MillraceError {
  return new MillraceError(
    'MILLRACE_GROUP_LOST',
    `this process is not a member of the group ${application} any more: it was not heard of within the session ` +
      'timeout, or its log was out of reach. It joins again and goes on from what is committed.',
    { remedy: 'retry' },
  )
}
