/** A member's way to the groups of a memory log: each request one operation on the line. */
import type { GroupCoordinator } from '../group-coordinator.ts'
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
import type { Line } from './faults.ts'

/** The coordinator of a memory log's groups, behind the faults of one connection. */
export class MemoryCoordinator implements GroupCoordinatorPort {
  readonly #line: Line
  readonly #members: GroupCoordinator

  constructor(line: Line, members: GroupCoordinator) {
    this.#line = line
    this.#members = members
  }

  join(request: JoinRequest): Promise<JoinAnswer> {
    const { groupId } = request
    return this.#line.run({ kind: 'joinGroup', groupId }, () => this.#members.join(request))
  }

  sync(request: SyncRequest): Promise<SyncAnswer> {
    const { groupId } = request
    return this.#line.run({ kind: 'syncGroup', groupId }, () => this.#members.sync(request))
  }

  heartbeat(request: GenerationRequest): Promise<HeartbeatAnswer> {
    const { groupId } = request
    return this.#line.run({ kind: 'heartbeat', groupId }, () => this.#members.heartbeat(request))
  }

  leave(request: MemberOfGroup): Promise<void> {
    const { groupId } = request
    return this.#line.run({ kind: 'leaveGroup', groupId }, () => this.#members.leave(request))
  }
}
