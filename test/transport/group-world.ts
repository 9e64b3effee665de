/**
 * A group under everything that can happen to it, from one seed: members join, leave, are killed and
 * are cut off from their log; requests and answers are slow, refused and lost; listeners take their
 * time. What must hold is looked at whenever anything happens.
 */
import { sleep } from '../../model/clock.ts'
import { asTopic, describePartition, type TopicPartition } from '../../model/position.ts'
import { ProcessClock, type SimulatedClock } from '../../testing/simulated-clock.ts'
import { GroupCoordinator } from '../../transport/group-coordinator.ts'
import { GroupMembership } from '../../transport/group-member.ts'
import type { GroupCoordinatorPort } from '../../transport/group-requests.ts'
import type { Assignor, Membership } from '../../transport/membership.ts'
import { Line, type Fate, type Operation } from '../../transport/memory/faults.ts'
import { MemoryCoordinator } from '../../transport/memory/memory-coordinator.ts'
import type { GroupMetadata } from '../../transport/transport.ts'

export const TOPIC = asTopic('topic')
export const SESSION_MS = 3_000
const REBALANCE_MS = 2_000
const BEAT_MS = 500

/** What may come after what, in the order a listener is told. */
const FOLLOWERS: Readonly<Record<string, readonly string[]>> = {
  start: ['joining'],
  joining: ['revoked', 'assigned', 'lost'],
  revoked: ['assigned', 'lost'],
  assigned: ['joining', 'lost', 'revoked'],
  lost: ['joining', 'assigned'],
}

/** The way of one member to a coordinator. */
export type WayToCoordinator = (line: Line, coordinator: GroupCoordinator) => GroupCoordinatorPort

const asItIs: WayToCoordinator = (line, coordinator) => new MemoryCoordinator(line, coordinator)

interface GroupSetting {
  readonly partitions: number
  readonly assignor: Assignor
  readonly way?: WayToCoordinator
}

/** A coordinator, and everybody who ever was a member. */
export class FaultyGroup {
  readonly clock: SimulatedClock
  readonly partitions: number
  readonly assignor: Assignor
  readonly way: WayToCoordinator
  readonly coordinator: GroupCoordinator
  readonly everybody: Participant[] = []
  /** What went wrong, in words. */
  readonly violations: string[] = []
  readonly trace: string[] = []
  /** Whether faults may still happen. */
  isRough = true

  constructor(clock: SimulatedClock, { partitions, assignor, way = asItIs }: GroupSetting) {
    this.clock = clock
    this.partitions = partitions
    this.assignor = assignor
    this.way = way
    this.coordinator = new GroupCoordinator(clock)
  }

  get living(): readonly Participant[] {
    return this.everybody.filter(({ isLiving }) => isLiving)
  }

  note(line: string): void {
    this.trace.push(`${this.clock.monotonic().toFixed(0)} ${line}`)
    this.look()
  }

  /** No two may have a partition whose commits would both be taken. */
  look(): void {
    const owners = new Map<number, Participant>()
    for (const one of this.everybody) {
      if (one.owned.size === 0 || !this.#mayCommit(one.credentials)) continue
      for (const partition of one.owned) {
        const other = owners.get(partition)
        if (other !== undefined)
          this.fault(`${partition} is owned by ${other.name} and ${one.name}`)
        owners.set(partition, one)
      }
    }
  }

  fault(violation: string): void {
    this.violations.push(`${this.clock.monotonic().toFixed(0)} ${violation}`)
  }

  /** Whether the living share all partitions, and nothing is under way. */
  get isSettled(): boolean {
    const { living } = this
    const owned = living.flatMap((one) => [...one.owned])
    const generations = new Set(living.map(({ membership }) => membership.metadata.generation))
    const isShared = owned.length === this.partitions && new Set(owned).size === this.partitions
    return isShared && generations.size === 1 && living.every(({ last }) => last === 'assigned')
  }

  #mayCommit(metadata: GroupMetadata): boolean {
    if (metadata.generation < 0) return false
    try {
      this.coordinator.assertMayCommit(metadata, 'in-transaction')
      return true
    } catch {
      return false
    }
  }
}

/** A process that is a member, or was one. */
export class Participant {
  readonly name: string
  readonly membership: Membership
  readonly owned = new Set<number>()
  /** With these its last requests were sent, and may arrive late. */
  credentials: GroupMetadata
  last = 'start'
  isLiving = true
  /** Until then nothing of it reaches the log. */
  cutOffUntilMs = 0
  readonly #group: FaultyGroup
  readonly #clock: ProcessClock
  readonly #line: Line
  #isInCall = false

  constructor(name: string, group: FaultyGroup, groupInstanceId: string | undefined) {
    this.name = name
    this.#group = group
    this.#clock = new ProcessClock(group.clock)
    const faults = { decide: (operation: Operation) => this.#fate(operation) }
    this.#line = new Line({ clock: this.#clock, name, faults })
    const partitions = { topic: TOPIC, topicId: '', partitions: group.partitions, config: {} }
    this.membership = new GroupMembership(
      {
        groupId: 'group',
        ...(groupInstanceId === undefined ? {} : { groupInstanceId }),
        topics: [TOPIC],
        assignor: group.assignor,
        userData: () => Buffer.from(name),
        sessionTimeoutMs: SESSION_MS,
        rebalanceTimeoutMs: REBALANCE_MS,
        heartbeatIntervalMs: BEAT_MS,
        listener: {
          joining: () => this.#told('joining', []),
          revoked: (those) => this.#told('revoked', those),
          assigned: ({ added, all }) => {
            for (const { partition } of added) this.owned.add(partition)
            if (all.length !== this.owned.size) group.fault(`${name} has not what it is told`)
            return this.#told('assigned', added)
          },
          lost: (those) => this.#told('lost', those),
        },
      },
      {
        coordinator: group.way(this.#line, group.coordinator),
        clock: this.#clock,
        admin: { describeTopics: () => Promise.resolve([partitions]) },
        onClose: () => {},
      },
    )
    this.credentials = this.membership.metadata
    this.membership.closed.then(
      () => this.#ended('left'),
      (error: unknown) => this.#ended(String(error)),
    )
    group.everybody.push(this)
    this.membership.start()
  }

  kill(): void {
    this.#group.note(`${this.name} is killed`)
    this.isLiving = false
    this.#line.kill()
    this.#clock.kill()
  }

  leave(): void {
    this.#group.note(`${this.name} is to leave`)
    this.isLiving = false
    // How it ended is looked at where `closed` tells it.
    this.membership.leave().catch(() => undefined)
  }

  #ended(how: string): void {
    this.#group.note(`${this.name} ended: ${how}`)
    this.isLiving = false
    this.owned.clear()
    const isExpected = how === 'left' || how.includes('joined group group as instance')
    if (!isExpected) this.#group.fault(`${this.name} ended: ${how}`)
  }

  async #told(what: string, those: readonly TopicPartition[]): Promise<void> {
    const group = this.#group
    if (this.#isInCall) group.fault(`${this.name} is told ${what} within ${this.last}`)
    if (FOLLOWERS[this.last]?.includes(what) !== true) {
      group.fault(`${this.name} is told ${what} after ${this.last}`)
    }
    if (what === 'revoked' && this.last === 'assigned' && this.isLiving) {
      group.fault(`${this.name} has to give back without a rebalance`)
    }
    this.#isInCall = true
    this.last = what
    this.#see()
    group.note(`${this.name} ${what} ${those.map(({ partition }) => partition).join(' ')}`)
    await this.#linger()
    this.#see()
    if (what === 'revoked' || what === 'lost') this.#drop(those)
    if (what === 'lost' && this.owned.size > 0) group.fault(`${this.name} did not lose all`)
    this.#isInCall = false
    group.note(`${this.name} ${what} is over`)
  }

  #see(): void {
    const { metadata } = this.membership
    if (metadata.memberId !== '') this.credentials = metadata
  }

  #drop(those: readonly TopicPartition[]): void {
    for (const each of those) {
      if (this.owned.delete(each.partition)) continue
      this.#group.fault(`${this.name} gives back ${describePartition(each)}, which it has not`)
    }
  }

  /** Now and then longer than the others wait. */
  async #linger(): Promise<void> {
    const { isRough, clock } = this.#group
    const random = clock.random64
    if (!isRough || random.chance(0.4)) return
    await sleep(this.#clock, random.below(random.chance(0.1) ? 2 * REBALANCE_MS : 200))
  }

  #fate({ kind }: Operation): Fate {
    const { clock, isRough } = this.#group
    const random = clock.random64
    this.#group.note(`${this.name} asks ${kind}`)
    if (!isRough) return {}
    const cutOffMs = Math.max(0, this.cutOffUntilMs - clock.monotonic())
    return {
      outcome: random.chance(0.85) ? 'done' : random.pick(['refused', 'lost'] as const),
      requestDelayMs: cutOffMs + (random.chance(0.5) ? random.below(60) : 0),
      responseDelayMs: random.chance(0.5) ? random.below(60) : 0,
    }
  }
}
