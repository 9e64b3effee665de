/** The answers of an embedded log's groups to the questions of their members. */
import type { GroupCoordinator } from '../group-coordinator.ts'
import type { Questions } from './broker.ts'
import { bytesOf, textOf } from './bytes-as-text.ts'

type GroupQuestion = 'joinGroup' | 'syncGroup' | 'heartbeat' | 'leaveGroup' | 'describeGroup'

/** Answers from a coordinator; a join and a sync are answered when the group is ready for it. */
export function groupAnswers(members: GroupCoordinator): {
  readonly [Q in GroupQuestion]: (
    request: Questions[Q]['request'],
  ) => Promise<Questions[Q]['answer']>
} {
  return {
    joinGroup: async (request) => {
      const subscription = bytesOf(request.subscription)
      const answer = await members.join({ ...request, subscription })
      if (answer.kind !== 'joined') return answer
      const joined = answer.members.map((member) => ({
        ...member,
        subscription: textOf(member.subscription),
      }))
      return { ...answer, members: joined }
    },
    syncGroup: async (request) => {
      const assignments = request.assignments.map(({ memberId, assignment }) => ({
        memberId,
        assignment: bytesOf(assignment),
      }))
      const answer = await members.sync({ ...request, assignments })
      return answer.kind === 'synced'
        ? { ...answer, assignment: textOf(answer.assignment) }
        : answer
    },
    heartbeat: async (request) => members.heartbeat(request),
    leaveGroup: async (request) => {
      members.leave(request)
      return null
    },
    describeGroup: async ({ groupId }) =>
      members.describe(groupId).map((member) => ({
        ...member,
        assignment: textOf(member.assignment),
      })),
  }
}
