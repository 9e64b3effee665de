/** The state of a memory log: what its connections share. Every call takes effect at once. */
import type { Clock } from '../../model/clock.ts'
import type { Topic } from '../../model/position.ts'
import type { Faults } from './faults.ts'
import { GroupCoordinator } from '../group-coordinator.ts'
import { GroupOffsets } from './group-offsets.ts'
import { Topics } from './topics.ts'
import { Transactions } from './transactions.ts'

/** The parts of a log behind its connections. */
export class Broker {
  readonly topics: Topics
  readonly groups = new GroupOffsets()
  readonly members: GroupCoordinator
  readonly transactions: Transactions

  constructor(clock: Clock, faults: Faults | undefined) {
    this.topics = new Topics(clock)
    this.members = new GroupCoordinator(clock)
    this.transactions = new Transactions({
      clock,
      groups: this.groups,
      members: this.members,
      faults,
    })
  }

  /** Deletes a topic with the offsets that groups committed for it. */
  deleteTopic(topic: Topic): void {
    if (this.topics.delete(topic)) this.groups.forget(topic)
  }
}
