/**
 * The order in which the files of a run start. Two run at a time, and only one of them can have the
 * three nodes: so the files are laid in two lanes, the longest first, one lane with those that borrow
 * the nodes, and queued in the order in which the lanes come to them. What is left of a lane when the
 * other is empty comes last. The weights are seconds on two idle cores; they need not be exact, for a
 * file whose turn comes early only waits for the nodes.
 */
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const USUAL_SECONDS = 20
const SECONDS: ReadonlyMap<string, number> = new Map([
  ['chaos.test.ts', 150],
  ['offsets-expiry.test.ts', 75],
  ['network.test.ts', 70],
  ['kafka-3.9.test.ts', 60],
  ['faults.test.ts', 55],
  ['conformance.test.ts', 50],
  ['producer-cluster.test.ts', 45],
  ['revoked.test.ts', 42],
  ['app-cluster.test.ts', 40],
  ['compacted.test.ts', 40],
  ['group-coordinators.test.ts', 40],
  ['reader-cluster.test.ts', 40],
  ['topic-changes.test.ts', 40],
  ['recovery.test.ts', 35],
  ['broker-settings.test.ts', 30],
  ['conformance-three-nodes.test.ts', 30],
  ['flagship.test.ts', 30],
  ['zombie.test.ts', 21],
  ['transactions.test.ts', 20],
])

/** The order of test/kafka. */
export class FileOrder extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = files.toSorted((a, b) => secondsOf(b) - secondsOf(a))
    const lanes = [
      sorted.filter((file) => borrowsNodes(file)),
      sorted.filter((file) => !borrowsNodes(file)),
    ]
    return lanes
      .flatMap((lane) => withStarts(lane))
      .toSorted((a, b) => a.start - b.start)
      .map(({ file }) => file)
  }
}

function withStarts(lane: readonly TestSpecification[]) {
  let start = 0
  return lane.map((file) => {
    const own = { file, start }
    start += secondsOf(file)
    return own
  })
}

function secondsOf({ moduleId }: TestSpecification): number {
  return SECONDS.get(basename(moduleId)) ?? USUAL_SECONDS
}

function borrowsNodes({ moduleId }: TestSpecification): boolean {
  return readFileSync(moduleId, 'utf8').includes('borrowNodes')
}
