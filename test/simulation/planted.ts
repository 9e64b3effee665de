/** Wrong orders of a commit, each a bug that was planted to show that the simulation finds it. */
import {
  apply,
  commitTransaction,
  EXACTLY_ONCE,
  flush,
  logChanges,
  release,
  seal,
  sendOffsets,
  type CommitStep,
} from '../../runtime/commit.ts'

/** Flushes what was sealed to the database as soon as it is sealed. */
const applyEarly: CommitStep = {
  name: 'applyEarly',
  run: ({ tasks, progress }) => {
    for (const task of tasks) task.apply(progress.acknowledged, progress.offsets)
  },
}

/** By the name of the bug. */
export const PLANTED: Readonly<Record<string, readonly CommitStep[]>> = {
  'offsets before outputs': [
    seal,
    sendOffsets,
    commitTransaction,
    logChanges,
    flush,
    apply,
    release,
  ],
  'LevelDB before the commit': [
    seal,
    logChanges,
    flush,
    applyEarly,
    sendOffsets,
    commitTransaction,
    release,
  ],
  'a send of N+1 before N is resolved': [
    seal,
    logChanges,
    flush,
    sendOffsets,
    release,
    commitTransaction,
    apply,
  ],
}

/** The right order, for comparison. */
export const RIGHT = EXACTLY_ONCE
