/**
 * How a unit lets tasks go that belong to another process from now on, as an ordered list of steps,
 * kept as data like those of a commit. What the unit did is committed, for the task's outputs are in
 * one transaction with those of the tasks that stay; only then does it go. The next owner reads its
 * offsets after that.
 */

/** What the steps of a release work with. */
export interface ReleaseRound {
  /** Commits all that the unit has done. */
  readonly commit: () => Promise<void>
  /** From here on the tasks are not the unit's. */
  readonly letGo: () => void
}

/** One step of a release. */
export interface ReleaseStep {
  readonly name: string
  run(round: ReleaseRound): void | Promise<void>
}

/** Commits what was done, also while rounds are held. */
export const commitDone: ReleaseStep = {
  name: 'commitDone',
  run: async (round) => await round.commit(),
}

/** Takes the tasks out of the loop. */
export const letGo: ReleaseStep = {
  name: 'letGo',
  run: (round) => round.letGo(),
}

/** The order in which tasks are let go. */
export const RELEASE: readonly ReleaseStep[] = [commitDone, letGo]
