/** A member's way to the groups of an embedded log, as questions to whoever holds it. */
import type {
  GenerationRequest,
  GroupCoordinatorPort,
  HeartbeatAnswer,
  JoinAnswer,
  JoinRequest,
  MemberOfGroup,
  SyncAnswer,
  SyncRequest,
} from '../group-requests.ts'
import type { LogBroker } from './broker.ts'
import { bytesOf, textOf } from './bytes-as-text.ts'

/** Asks a broker. */
export class BrokerCoordinator implements GroupCoordinatorPort {
  readonly #broker: LogBroker

  constructor(broker: LogBroker) {
    this.#broker = broker
  }

  async join(request: JoinRequest, signal: AbortSignal): Promise<JoinAnswer> {
    const asked = { ...request, subscription: textOf(request.subscription) }
    const answer = await this.#broker.ask('joinGroup', asked, { signal })
    if (answer.kind !== 'joined') return answer
    const members = answer.members.map((member) => ({
      ...member,
      subscription: bytesOf(member.subscription),
    }))
    return { ...answer, members }
  }

  async sync(request: SyncRequest, signal: AbortSignal): Promise<SyncAnswer> {
    const assignments = request.assignments.map(({ memberId, assignment }) => ({
      memberId,
      assignment: textOf(assignment),
    }))
    const answer = await this.#broker.ask('syncGroup', { ...request, assignments }, { signal })
    return answer.kind === 'synced' ? { ...answer, assignment: bytesOf(answer.assignment) } : answer
  }

  async heartbeat(request: GenerationRequest, signal: AbortSignal): Promise<HeartbeatAnswer> {
    return await this.#broker.ask('heartbeat', request, { signal })
  }

  async leave(request: MemberOfGroup, signal: AbortSignal): Promise<void> {
    await this.#broker.ask('leaveGroup', request, { signal })
  }
}
