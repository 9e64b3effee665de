/**
 * The order in which the files of a run start: the longest first, so that no worker is left alone with
 * one at the end. Without this a fresh clone goes by the size of the files, and the simulation is a
 * few lines. The weights are seconds on two idle cores; they need not be exact.
 */
import { relative } from 'node:path'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const SECONDS: ReadonlyMap<string, number> = new Map([
  ['runtime/rebalance.test.ts', 30],
  ['cli/rehearsal-annotator.test.ts', 28],
  ['transport/embedded-conformance.test.ts', 25],
  ['cli/rehearsal-files.test.ts', 23],
  ['simulation/simulation.test.ts', 23],
  ['simulation/more-seeds.test.ts', 20],
  ['transport/sharing-conformance.test.ts', 20],
  ['transport/embedded-kill.test.ts', 20],
  ['cli/demo-kill.test.ts', 20],
  ['video/pipeline-failures.test.ts', 18],
  ['transport/embedded-cleaning-kill.test.ts', 17],
  ['cli/rehearsal-records.test.ts', 17],
  ['video/annotators/local.test.ts', 16],
  ['video/annotators/google.test.ts', 15],
  ['cli/run.test.ts', 14],
  ['simulation/planted.test.ts', 14],
  ['chaos/embedded.test.ts', 12],
  ['cli/reset.test.ts', 12],
  ['video/pipeline.test.ts', 11],
  ['transport/sharing-kill.test.ts', 11],
  ['runtime/reset.test.ts', 11],
  ['state/kill.test.ts', 10],
  ['transport/memory.test.ts', 10],
  ['video/annotators/gradual-transitions.test.ts', 9],
  ['examples.test.ts', 8],
  ['transport/embedded-model.test.ts', 8],
  ['cli/topics.test.ts', 7],
  ['video/ingest-resume.test.ts', 7],
  ['state/conformance.test.ts', 7],
  ['cli/sharing.test.ts', 7],
  ['cli/commands.test.ts', 6],
  ['cli/pipeline-files.test.ts', 6],
  ['runtime/kill.test.ts', 6],
])

/** The order of `npm test`. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    // Those that share workers are the last of these, project by project, or they could not share.
    const sorted = await super.sort(files)
    return sorted.toSorted((a, b) => secondsOf(b) - secondsOf(a))
  }
}

function secondsOf({ moduleId }: TestSpecification): number {
  return SECONDS.get(relative(import.meta.dirname, moduleId)) ?? 0
}
