/**
 * The signs of life of a group's member: one after the other, by the clock alone. What a heartbeat
 * says about a member that has moved on meanwhile is old, and is dropped.
 */
import type { Clock, Timer } from '../model/clock.ts'
import { asError } from '../model/errors.ts'
import { TransportError } from './errors.ts'
import type {
  GenerationRequest,
  GroupCoordinatorPort,
  GroupRefusal,
  HeartbeatAnswer,
  SyncAnswer,
} from './group-requests.ts'
import type { GroupSilence } from './group-silence.ts'

/** What a pulse is made of. */
export interface GroupPulseOptions {
  readonly coordinator: GroupCoordinatorPort
  readonly clock: Clock
  readonly intervalMs: number
  readonly silence: GroupSilence
  /** The member now; undefined while there is none. */
  member(): GenerationRequest | undefined
  /** Hears what the group has against it. */
  onRefused(why: GroupRefusal): void
  /** Hears what will keep every further heartbeat from its answer. */
  onFailed(error: Error): void
}

/** Sends heartbeats until it is stopped. */
export class GroupPulse {
  readonly #options: GroupPulseOptions
  readonly #stop = new AbortController()
  #timer: Timer | undefined
  #holds = 0
  #aliveAtMs = -Infinity

  constructor(options: GroupPulseOptions) {
    this.#options = options
  }

  /** When the last sign of life was sent that was answered: the group counts a session from then, or from later. */
  get aliveAtMs(): number {
    return this.#aliveAtMs
  }

  start(): void {
    const { clock, intervalMs, silence } = this.#options
    silence.due(intervalMs)
    this.#timer = clock.timer(intervalMs, () => void this.#beat())
  }

  stop(): void {
    this.#stop.abort(new Error('the member is over'))
    this.#timer?.cancel()
  }

  /** Sends nothing, and hears nothing, while `work` is under way. */
  async held<T>(work: () => Promise<T>): Promise<T> {
    this.#holds += 1
    try {
      return await work()
    } finally {
      this.#holds -= 1
    }
  }

  /** A request that is a sign of life, unless it is refused for any other reason than a rebalance to come. */
  async counted<T extends HeartbeatAnswer | SyncAnswer>(ask: () => Promise<T>): Promise<T> {
    const askedAtMs = this.#options.clock.monotonic()
    const answer = await ask()
    if (answer.kind !== 'refused' || answer.why === 'rebalancing') this.#aliveAtMs = askedAtMs
    return answer
  }

  async #beat(): Promise<void> {
    const { silence } = this.#options
    const member = this.#options.member()
    if (member === undefined || this.#holds > 0) {
      silence.heard()
    } else {
      silence.woke()
      await this.#send(member)
    }
    if (!this.#stop.signal.aborted) this.start()
  }

  async #send(member: GenerationRequest): Promise<void> {
    const { coordinator, silence } = this.#options
    try {
      const answer = await this.counted(() => coordinator.heartbeat(member, this.#stop.signal))
      silence.heard()
      if (answer.kind === 'refused' && this.#isStill(member)) this.#options.onRefused(answer.why)
    } catch (error) {
      // A heartbeat that got no answer is made good by the next.
      const mayPass = error instanceof TransportError && error.kind === 'retriable'
      if (mayPass) silence.unheard()
      else if (!this.#stop.signal.aborted) this.#options.onFailed(asError(error))
    }
  }

  #isStill({ memberId, generation }: GenerationRequest): boolean {
    if (this.#holds > 0 || this.#stop.signal.aborted) return false
    const now = this.#options.member()
    return now?.memberId === memberId && now.generation === generation
  }
}
