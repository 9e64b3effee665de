import { describe, expect, test } from 'vitest'
import { assignStatically, describeTask } from '../../runtime/assignment.ts'
import type { Subtopology } from '../../topology/graph.ts'

const subtopology = (id: number): Subtopology => ({ id, nodes: [], sourceTopics: [], stores: [] })
const counts = [5, 3]
const subtopologies = counts.map((_, id) => subtopology(id))
const partitionCount = ({ id }: Subtopology): number => counts[id] ?? 0

function tasksOf(assignment: { units?: number[]; of?: number }): string[][] {
  return assignStatically({
    application: 'app',
    subtopologies,
    partitionCount,
    assignment: { kind: 'static', ...assignment },
  }).map(({ tasks }) => tasks.map(describeTask))
}

describe('static assignment', () => {
  test('gives one unit to each partition of the largest source by default', () => {
    expect(tasksOf({})).toEqual([['0_0', '1_0'], ['0_1', '1_1'], ['0_2', '1_2'], ['0_3'], ['0_4']])
  })

  test.each([1, 2, 3, 4, 5, 7])('covers every task once with %i processes', (of) => {
    const all = Array.from({ length: of }, (_, unit) => tasksOf({ units: [unit], of })).flat(2)
    expect(all.toSorted()).toEqual(['0_0', '0_1', '0_2', '0_3', '0_4', '1_0', '1_1', '1_2'])
  })

  test('names the transactional id for the unit', () => {
    const [unit] = assignStatically({
      application: 'app',
      subtopologies,
      partitionCount,
      assignment: { kind: 'static', units: [1], of: 2 },
    })
    expect(unit?.transactionalId).toBe('app-1')
  })

  test.each([-1, 5, 1.5])('refuses unit %d and says which there are', (unit) => {
    expect(() => tasksOf({ units: [unit] })).toThrow(/runs as 5 \(0 to 4\)/)
  })
})
