/**
 * The member's half of a group, once for every log: it joins, assigns where it is asked to, tells
 * its listener, and joins again whenever something calls for it.
 *
 * Two things run side by side. The life is one step after the other (transport/group-phases.ts), and
 * each call of the listener is awaited in it. The pulse (transport/group-pulse.ts) goes by the clock
 * alone, whatever the life waits for, and only leaves notes: that the group rebalances, or that it has
 * put the member out. From that note on `metadata` names nobody, so that nothing more is committed in
 * the name of the old member; the listener is told as soon as its call under way has returned.
 */
import assert from 'node:assert/strict'
import type { Clock } from '../model/clock.ts'
import { asError } from '../model/errors.ts'
import type { TopicPartition } from '../model/position.ts'
import { changeOf } from './cooperative.ts'
import { assignShares, UNKNOWN_TOPIC_MS } from './group-assigning.ts'
import { decodeShare, encodeSubscription } from './group-bytes.ts'
import type { Share } from './group-bytes.ts'
import { instanceFenced, otherProtocol } from './group-errors.ts'
import { moveMember, type MemberPhase, type NextMemberPhase } from './group-phases.ts'
import { GroupPulse } from './group-pulse.ts'
import { GroupSilence } from './group-silence.ts'
import type {
  AssignedBytes,
  GroupCoordinatorPort,
  GroupRefusal,
  Joined,
  MemberOfGroup,
  Refused,
} from './group-requests.ts'
import type { Membership, MembershipOptions } from './membership.ts'
import { sayGoodbye, untilAnswered } from './group-patience.ts'
import type { Admin, GroupMetadata } from './transport.ts'

/** Default of sessionTimeoutMs. */
export const SESSION_TIMEOUT_MS = 45_000
/** Default of rebalanceTimeoutMs. */
export const REBALANCE_TIMEOUT_MS = 60_000
/** Default of heartbeatIntervalMs. */
export const HEARTBEAT_INTERVAL_MS = 3_000
/** What a member is made of, besides its options. */
export interface GroupMembershipParts {
  readonly coordinator: GroupCoordinatorPort
  readonly clock: Clock
  /** Tells the one that assigns how many partitions there are. */
  readonly admin: Pick<Admin, 'describeTopics'>
  /** Called once, when the membership is over. */
  onClose(): void
}

/** A member of a group, over whatever carries its requests. */
export class GroupMembership implements Membership {
  readonly #options: MembershipOptions
  readonly #parts: GroupMembershipParts
  readonly #pulse: GroupPulse
  readonly #closed = Promise.withResolvers<void>()
  /** Aborts when the member is to leave: no request is waited for any more. */
  readonly #stop = new AbortController()
  #phase: MemberPhase = 'idle'
  #isBegun = false
  /** The name that the coordinator knows it by; empty for a newcomer. */
  #memberId = ''
  #joined: Joined | undefined
  #share: Share | undefined
  #owned: readonly TopicPartition[] = []
  /** Of the assignment that `owned` is from; -1 for none. */
  #shareGeneration = -1
  #metadata: GroupMetadata
  /** Whether the listener was told of a join, and of no assignment since. */
  #isAnnounced = false
  #wantsRejoin = false
  #refusal: GroupRefusal | undefined
  #failure: Error | undefined
  #wake: () => void = () => {}

  constructor(options: MembershipOptions, parts: GroupMembershipParts) {
    this.#options = options
    this.#parts = parts
    this.#metadata = this.#nobody
    const { sessionTimeoutMs = SESSION_TIMEOUT_MS, heartbeatIntervalMs = HEARTBEAT_INTERVAL_MS } =
      options
    assert(heartbeatIntervalMs < sessionTimeoutMs, 'a session is longer than a heartbeat interval')
    this.#pulse = new GroupPulse({
      coordinator: parts.coordinator,
      clock: parts.clock,
      intervalMs: heartbeatIntervalMs,
      silence: new GroupSilence({
        clock: parts.clock,
        groupId: options.groupId,
        sessionTimeoutMs,
        onNotice: (message) => options.onNotice?.(message),
      }),
      member: () => this.#pulsing(),
      onRefused: (why) => this.#heard(why),
      onFailed: (error) => this.#fail(error),
    })
    // Whoever leaves or disposes is told as well; a failure that nobody looks for must not end the process.
    this.#closed.promise.catch(() => undefined)
  }

  get metadata(): GroupMetadata {
    return this.#metadata
  }

  get closed(): Promise<void> {
    return this.#closed.promise
  }

  get aliveUntilMs(): number {
    const { sessionTimeoutMs = SESSION_TIMEOUT_MS } = this.#options
    return this.#metadata.generation < 0 ? -Infinity : this.#pulse.aliveAtMs + sessionTimeoutMs
  }

  start(): void {
    assert(!this.#isBegun, 'a member starts once')
    this.#pulse.start()
    this.#begin()
  }

  requestRebalance(): void {
    this.#wantsRejoin = true
    this.#wake()
  }

  async leave(): Promise<void> {
    if (!this.#stop.signal.aborted) {
      this.#stop.abort(new Error('the member leaves'))
      this.#wake()
      if (!this.#isBegun) this.#begin()
    }
    await this.#closed.promise
  }

  /** Leaves. What ended the membership before is told by `closed` alone. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#phase === 'leaving') await Promise.allSettled([this.#closed.promise])
    else await this.leave()
  }

  /** Ends it as the death of its process does: no sign of life any more, and no goodbye. For simulations. */
  abandon(): void {
    this.#pulse.stop()
  }

  // ------------------------------------------------------------------------------------ the life

  /** The listener is never told anything within a call of its owner. */
  #begin(): void {
    this.#isBegun = true
    void Promise.resolve().then(() => this.#live())
  }

  async #live(): Promise<void> {
    try {
      let next: NextMemberPhase = this.#stop.signal.aborted ? 'leaving' : 'joining'
      while (next !== 'leaving') {
        this.#phase = moveMember(this.#phase, next)
        const following = await this.#steps[next]()
        next = this.#stop.signal.aborted ? 'leaving' : following
      }
      if (this.#failure !== undefined) throw this.#failure
      this.#phase = moveMember(this.#phase, 'leaving')
      await this.#giveBack()
      await this.#end()
      this.#closed.resolve()
    } catch (error) {
      this.#phase = 'leaving'
      await this.#end()
      this.#closed.reject(asError(error))
    }
  }

  readonly #steps: Readonly<
    Record<Exclude<NextMemberPhase, 'leaving'>, () => Promise<NextMemberPhase>>
  > = {
    joining: () => this.#join(),
    syncing: () => this.#sync(),
    changing: () => this.#change(),
    settled: () => this.#rest(),
    losing: () => this.#lose(),
  }

  async #join(): Promise<NextMemberPhase> {
    if (!this.#isAnnounced) await this.#options.listener.joining()
    this.#isAnnounced = true
    if (this.#isRefused()) return 'losing'
    this.#wantsRejoin = false
    // The same bytes at every try, for the coordinator tells a repeated join from a new one by them.
    const subscription = encodeSubscription({
      topics: this.#options.topics,
      userData: this.#options.userData(),
      owned: this.#owned,
      generation: this.#shareGeneration,
    })
    for (;;) {
      const answer = await this.#ask((signal) => this.#requestJoin(subscription, signal))
      if (answer === undefined) return 'leaving'
      if (answer.kind === 'refused') return this.#refuse(answer)
      this.#memberId = answer.memberId
      if (answer.kind === 'named') continue
      const isLeftOut = this.#hasMissed(answer)
      this.#joined = answer
      if (!isLeftOut) return 'syncing'
      this.#note('illegal-generation')
      return 'losing'
    }
  }

  async #requestJoin(subscription: Buffer, signal: AbortSignal) {
    const { assignor, sessionTimeoutMs, rebalanceTimeoutMs } = this.#options
    const request = {
      ...this.#self,
      sessionTimeoutMs: sessionTimeoutMs ?? SESSION_TIMEOUT_MS,
      rebalanceTimeoutMs: rebalanceTimeoutMs ?? REBALANCE_TIMEOUT_MS,
      protocol: assignor.name,
      subscription,
    }
    // Who waits in a join needs no pulse: the coordinator knows that he is there.
    return await this.#pulse.held(() => this.#parts.coordinator.join(request, signal))
  }

  /**
   * Whether there was a generation without this member since its share. A static member stays in the
   * group meanwhile, and its join is taken as if nothing had happened; but others may have what it
   * owns. (An answer that was lost looks the same: then it loses what it need not have.)
   */
  #hasMissed({ generation }: Joined): boolean {
    const isStatic = this.#options.groupInstanceId !== undefined
    const before = this.#joined?.generation ?? generation
    return isStatic && this.#shareGeneration >= 0 && generation > before + 1
  }

  async #sync(): Promise<NextMemberPhase> {
    const joined = this.#joined
    assert(joined !== undefined, 'a member syncs what it joined')
    const assignments = joined.assigns ? await this.#assign(joined) : []
    if (assignments === undefined) return 'leaving'
    const { generation } = joined
    const request = { ...this.#self, generation, assignments }
    const answer = await this.#ask((signal) =>
      this.#pulse.counted(() => this.#parts.coordinator.sync(request, signal)),
    )
    if (answer === undefined) return 'leaving'
    if (answer.kind === 'refused') return this.#refuse(answer)
    this.#share = decodeShare(answer.assignment)
    return 'changing'
  }

  /** Shares the partitions out; undefined where the member leaves meanwhile. */
  async #assign(joined: Joined): Promise<readonly AssignedBytes[] | undefined> {
    const { assignor, rebalanceTimeoutMs = REBALANCE_TIMEOUT_MS } = this.#options
    const { admin, clock } = this.#parts
    const endMs = clock.monotonic() + Math.min(UNKNOWN_TOPIC_MS, rebalanceTimeoutMs / 2)
    const mayWait = (): boolean => clock.monotonic() < endMs
    return await this.#ask(() => assignShares(joined, { assignor, admin, mayWait }))
  }

  async #change(): Promise<NextMemberPhase> {
    const { listener } = this.#options
    const { partitions, userData, mustJoinAgain } = this.#share ?? decodeShare(Buffer.alloc(0))
    const { added, kept, revoked } = changeOf(this.#owned, partitions)
    if (this.#isRefused()) return 'losing'
    const generation = this.#joined?.generation ?? -1
    const metadata = { ...this.#self, generation }
    this.#shareGeneration = generation
    this.#metadata = metadata
    if (revoked.length > 0) {
      await listener.revoked(revoked)
      this.#owned = kept
      if (this.#isRefused()) return 'losing'
    }
    this.#owned = partitions
    await listener.assigned({ added, all: partitions, userData, metadata })
    this.#isAnnounced = false
    if (revoked.length > 0 || mustJoinAgain) this.#wantsRejoin = true
    return this.#isRefused() ? 'losing' : 'settled'
  }

  /** Nothing to do until something calls for a join, or for the end. */
  async #rest(): Promise<NextMemberPhase> {
    while (!this.#wantsRejoin && !this.#isRefused() && !this.#stop.signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake = resolve
      await promise
    }
    return this.#isRefused() ? 'losing' : 'joining'
  }

  async #lose(): Promise<NextMemberPhase> {
    const [why, partitions, hadShare] = [this.#refusal, this.#owned, this.#shareGeneration >= 0]
    this.#refusal = undefined
    this.#forget()
    if (why !== 'illegal-generation') this.#memberId = ''
    const { listener, groupId, groupInstanceId = '' } = this.#options
    const end = why === 'fenced-instance' ? instanceFenced(groupId, groupInstanceId) : undefined
    if (hadShare) await listener.lost(partitions, end)
    if (end !== undefined) throw end
    return 'joining'
  }

  // ------------------------------------------------------------------------------------- the end

  /** What is still owned is given back before goodbye is said. */
  async #giveBack(): Promise<void> {
    const { listener } = this.#options
    if (this.#owned.length === 0) return
    if (this.#isRefused()) await listener.lost(this.#owned)
    else await listener.revoked(this.#owned)
  }

  async #end(): Promise<void> {
    this.#stop.abort(new Error('the membership is over'))
    this.#forget()
    this.#pulse.stop()
    // A static member stays, for another process may take its place.
    if (this.#memberId !== '' && this.#options.groupInstanceId === undefined) {
      await sayGoodbye(this.#parts, this.#self)
    }
    this.#parts.onClose()
  }

  // ------------------------------------------------------------------------------------- leaves

  get #self(): MemberOfGroup {
    const { groupId, groupInstanceId } = this.#options
    const instance = groupInstanceId === undefined ? {} : { groupInstanceId }
    return { groupId, memberId: this.#memberId, ...instance }
  }

  get #nobody(): GroupMetadata {
    return { groupId: this.#options.groupId, generation: -1, memberId: '' }
  }

  /** The member whose pulse is to be sent, if there is one in the group. */
  #pulsing() {
    if (this.#joined === undefined || this.#refusal !== undefined) return undefined
    return { ...this.#self, generation: this.#joined.generation }
  }

  #refuse({ why, protocol = '' }: Refused): NextMemberPhase {
    const { groupId, assignor } = this.#options
    if (why === 'other-protocol') throw otherProtocol(groupId, assignor.name, protocol)
    if (why === 'rebalancing') return 'joining'
    this.#note(why)
    return 'losing'
  }

  /** A heartbeat was refused. What that says of a generation that a join is to replace, the join answers. */
  #heard(why: GroupRefusal): void {
    const isOld = why === 'rebalancing' || why === 'illegal-generation'
    if (!(isOld && this.#phase === 'joining')) this.#note(why)
  }

  #note(why: GroupRefusal): void {
    if (why === 'rebalancing') {
      this.#wantsRejoin = true
    } else {
      this.#refusal = why
      this.#metadata = this.#nobody
    }
    this.#wake()
  }

  #fail(error: Error): void {
    this.#failure ??= error
    this.#stop.abort(error)
    this.#wake()
  }

  /** Whether the group has put the member out, as of now. */
  #isRefused(): boolean {
    return this.#refusal !== undefined
  }

  /** Nothing is owned, and nobody is named, any more. */
  #forget(): void {
    this.#owned = []
    this.#joined = undefined
    this.#share = undefined
    this.#shareGeneration = -1
    this.#metadata = this.#nobody
  }

  /** Asks until there is an answer; undefined where the member leaves meanwhile. */
  async #ask<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
    return await untilAnswered(this.#parts.clock, call, this.#stop.signal)
  }
}
