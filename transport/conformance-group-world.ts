/** What the cases of group membership share: members that write down what they are told, and an assignor that is easy to foretell. */
import assert from 'node:assert/strict'
import { sleep } from '../model/clock.ts'
import { describePartition, type Topic, type TopicPartition } from '../model/position.ts'
import { at, type World } from './conformance-world.ts'
import type {
  Assigned,
  Assignor,
  GroupMember,
  MemberAssignment,
  Membership,
  MembershipOptions,
} from './membership.ts'
import type { GroupMetadata, Transport } from './transport.ts'

/** Milliseconds between two looks at what the members were told. */
const LOOK_MS = 5

/** Test members beat often, so that a rebalance is noticed soon; their sessions are as long as ever. */
const BEAT_MS = 20

/** Members of one group of one case, and who of them has what. */
export class GroupWorld {
  readonly world: World
  readonly groupId: string
  readonly topic: Topic
  /** Everybody whose partitions nobody else may have meanwhile. */
  readonly holders = new Set<TestMember>()

  constructor(world: World, topic: Topic, group = 'group') {
    this.world = world
    this.topic = topic
    this.groupId = world.name(group)
  }

  /** Makes a member and starts it. */
  join(name: string, options: TestMemberOptions = {}): TestMember {
    const member = new TestMember(name, this, options)
    member.membership.start()
    return member
  }

  /** Waits until something is so. */
  async until(what: string, isSo: () => boolean): Promise<void> {
    await this.world.within(what, async (signal) => {
      while (!isSo()) await sleep(this.world.harness.clock, LOOK_MS, signal)
    })
  }

  /** Waits until these members have all of the topic's partitions, evenly, and nothing is under way. */
  async settled(partitions: number, ...members: readonly TestMember[]): Promise<void> {
    const most = Math.ceil(partitions / members.length)
    await this.until(`${members.length} members to share ${partitions} partitions`, () => {
      const sizes = members.map(({ owned }) => owned.size)
      const generations = new Set(members.map(({ metadata }) => metadata.generation))
      const isQuiet = members.every(({ isBusy }) => !isBusy) && generations.size === 1
      const total = sizes.reduce((sum, size) => sum + size, 0)
      return isQuiet && total === partitions && sizes.every((size) => size <= most)
    })
  }

  /** Lets everybody leave, whatever became of him. */
  async end(...members: readonly TestMember[]): Promise<void> {
    await Promise.all(members.map((member) => member.membership[Symbol.asyncDispose]()))
  }
}

/** How a test member differs from the usual. */
export interface TestMemberOptions extends Partial<
  Omit<MembershipOptions, 'groupId' | 'listener'>
> {
  readonly log?: Transport
  /** Runs within the listener's call of that name. */
  readonly on?: Partial<Record<'joining' | 'revoked' | 'assigned' | 'lost', () => Promise<void>>>
}

/** A member that writes down what it is told, and checks what must hold whatever happens. */
export class TestMember {
  readonly name: string
  readonly membership: Membership
  /** What was told, e.g. `joining`, `revoked 1 2`, `assigned 0`, `lost 3`: partitions alone. */
  readonly events: string[] = []
  /** The partitions it owns. */
  readonly owned = new Set<number>()
  last: Assigned | undefined
  /** Whether a rebalance, or a call of the listener, is under way. */
  isBusy = true
  readonly #group: GroupWorld
  readonly #on: TestMemberOptions['on']
  #isInCall = false

  constructor(name: string, group: GroupWorld, { log, on, ...options }: TestMemberOptions) {
    this.name = name
    this.#group = group
    this.#on = on
    this.membership = (log ?? group.world.log).openMembership({
      topics: [group.topic],
      assignor: evenly,
      userData: () => Buffer.from(name),
      heartbeatIntervalMs: BEAT_MS,
      ...options,
      groupId: group.groupId,
      listener: {
        joining: () => this.#told('joining', [], () => (this.isBusy = true)),
        revoked: (partitions) => this.#told('revoked', partitions, () => this.#drop(partitions)),
        assigned: (assigned) => this.#told('assigned', assigned.added, () => this.#take(assigned)),
        lost: (partitions) => this.#told('lost', partitions, () => this.#lose(partitions)),
      },
    })
    group.holders.add(this)
    // A case that expects an end looks at it itself.
    this.membership.closed.catch(() => undefined)
  }

  get metadata(): GroupMetadata {
    return this.membership.metadata
  }

  /** The last event that was told. */
  get lastEvent(): string | undefined {
    return this.events.at(-1)
  }

  async #told(
    what: 'joining' | 'revoked' | 'assigned' | 'lost',
    partitions: readonly TopicPartition[],
    note: () => void,
  ): Promise<void> {
    assert.ok(!this.#isInCall, `${this.name} is told ${what} while it is told something else`)
    this.#isInCall = true
    try {
      this.events.push([what, ...partitions.map(({ partition }) => partition)].join(' '))
      if (what === 'assigned') note()
      await this.#on?.[what]?.()
      if (what !== 'assigned') note()
    } finally {
      this.#isInCall = false
    }
  }

  #take(assigned: Assigned): void {
    this.isBusy = false
    for (const { partition } of assigned.added) {
      assert.ok(!this.owned.has(partition), `${this.name} has ${partition} already`)
      for (const other of this.#group.holders) {
        assert.ok(!other.owned.has(partition), `${this.name} got ${partition} of ${other.name}`)
      }
      this.owned.add(partition)
    }
    const all = assigned.all.map(({ partition }) => partition)
    assert.deepEqual(new Set(all), this.owned, `${this.name}: all is what was there and is added`)
    assert.deepEqual(this.metadata, assigned.metadata)
    const before = this.last?.metadata.generation ?? -1
    assert.ok(assigned.metadata.generation >= before, 'generations grow')
    this.last = assigned
  }

  #drop(partitions: readonly TopicPartition[]): void {
    assert.notEqual(this.metadata.memberId, '', 'what is revoked may still be committed')
    this.#remove(partitions)
  }

  #lose(partitions: readonly TopicPartition[]): void {
    assert.deepEqual([this.metadata.generation, this.metadata.memberId], [-1, ''])
    this.#remove(partitions)
    assert.equal(this.owned.size, 0, 'all is lost')
    this.isBusy = true
  }

  #remove(partitions: readonly TopicPartition[]): void {
    for (const each of partitions) {
      assert.ok(this.owned.delete(each.partition), `${this.name} has no ${describePartition(each)}`)
    }
  }
}

/** As even as can be, everybody keeping what he has where that allows; tells everybody what all said. */
export const evenly: Assignor = {
  name: 'evenly',
  assign({ members, partitionsOf }) {
    const sorted = [...members].sort((a, b) => (a.userData.compare(b.userData) < 0 ? -1 : 1))
    const said = Buffer.from(sorted.map(({ userData }) => userData.toString()).join(' '))
    const topics = [...new Set(members.flatMap(({ topics: each }) => each))]
    const all = topics.flatMap((topic) =>
      Array.from({ length: partitionsOf(topic) }, (_, partition) => at(topic, partition)),
    )
    const shares = keptShares(sorted, all)
    for (const each of all) {
      if (shares.some(({ partitions }) => partitions.some((one) => isSame(one, each)))) continue
      const [least] = shares.toSorted((a, b) => a.partitions.length - b.partitions.length)
      least?.partitions.push(each)
    }
    return shares.map((share): MemberAssignment => ({ ...share, userData: said }))
  },
}

/** What each keeps: no more than leaves the others their even part. */
function keptShares(members: readonly GroupMember[], all: readonly TopicPartition[]) {
  const [least, rest] = [Math.floor(all.length / members.length), all.length % members.length]
  let larger = 0
  return members.map(({ memberId, owned }) => {
    const mayBeLarger = owned.length > least && larger < rest
    if (mayBeLarger) larger += 1
    return { memberId, partitions: owned.slice(0, mayBeLarger ? least + 1 : least) }
  })
}

function isSame(one: TopicPartition, other: TopicPartition): boolean {
  return one.topic === other.topic && one.partition === other.partition
}
