import { expect, test } from 'vitest'
import { KafkaCoordinator } from '../../../transport/kafka/group/kafka-coordinator.ts'
import { simulateGroup } from '../group-simulation.ts'
import type { WayToCoordinator } from '../group-world.ts'
import { groupBrokersLink, MovingGroup } from './group-brokers.ts'

const SEEDS = 50
const LIMITS = { requestDeadlineMs: 1_000, heldRoundCheckMs: 700 }

test(`a group over brokers that it moves between has one owner a partition, and comes to rest (${SEEDS} seeds)`, async () => {
  let moves = 0
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    const { violations, trace } = await simulateGroup(seed, (clock, isRough) => {
      const group = new MovingGroup(clock)
      void group.wander(isRough).then(() => (moves += group.moves))
      return overBrokers(group)
    })
    const told = violations.length === 0 ? [] : trace.filter((line) => !line.endsWith('heartbeat'))
    expect({ violations, told }, `seed ${seed}`).toEqual({ violations: [], told: [] })
  }
  expect(moves).toBeGreaterThan(SEEDS)
})

function overBrokers(group: MovingGroup): WayToCoordinator {
  return (line, coordinator) =>
    new KafkaCoordinator(groupBrokersLink(line, { group, coordinator }), LIMITS)
}
