/** A member's way to the groups of a memory log: each request one operation on the line. */
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
import type { Broker } from './broker.ts'
import type { Line } from './faults.ts'

/** The coordinator of a memory log's groups, behind the faults of one connection. */
export class MemoryCoordinator implements GroupCoordinatorPort {
  readonly #line: Line
  readonly #broker: Broker

  constructor(line: Line, broker: Broker) {
    this.#line = line
    this.#broker = broker
  }

  join(request: JoinRequest): Promise<JoinAnswer> {
    const { groupId } = request
    return this.#line.run({ kind: 'joinGroup', groupId }, () => this.#broker.members.join(request))
  }

  sync(request: SyncRequest): Promise<SyncAnswer> {
    const { groupId } = request
    return this.#line.run({ kind: 'syncGroup', groupId }, () => this.#broker.members.sync(request))
  }

  heartbeat(request: GenerationRequest): Promise<HeartbeatAnswer> {
    const { groupId } = request
    return this.#line.run({ kind: 'heartbeat', groupId }, () =>
      this.#broker.members.heartbeat(request),
    )
  }

  leave(request: MemberOfGroup): Promise<void> {
    const { groupId } = request
    return this.#line.run({ kind: 'leaveGroup', groupId }, () =>
      this.#broker.members.leave(request),
    )
  }
}
