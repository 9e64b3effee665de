/** Where a group's member stands, and for each phase what may follow. */
import assert from 'node:assert/strict'

const FOLLOWERS = {
  idle: ['joining', 'leaving'],
  joining: ['syncing', 'losing', 'leaving'],
  syncing: ['joining', 'changing', 'losing', 'leaving'],
  changing: ['settled', 'losing', 'leaving'],
  settled: ['joining', 'losing', 'leaving'],
  losing: ['joining', 'leaving'],
  leaving: [],
} as const satisfies Record<string, readonly string[]>

/** Where a member stands. */
export type MemberPhase = keyof typeof FOLLOWERS
/** Where a step may lead. */
export type NextMemberPhase = Exclude<MemberPhase, 'idle'>

/** The phase that follows; asserts that it may. */
export function moveMember(from: MemberPhase, to: NextMemberPhase): NextMemberPhase {
  const allowed: readonly MemberPhase[] = FOLLOWERS[from]
  assert(allowed.includes(to), `a member that is ${from} cannot be ${to}`)
  return to
}
