/** The groups' committed offsets of a memory log, and those that open transactions are about to commit. */
import { describePartition, type Topic, type TopicPartition } from '../../model/position.ts'
import { offsetsPending } from '../log-errors.ts'
import type { CommittedOffset } from '../transport.ts'

/** Offsets by group, then by partition. */
type Offsets = Map<string, Map<string, CommittedOffset>>

/** Committed and staged offsets. */
export class GroupOffsets {
  readonly #committed: Offsets = new Map()
  /** By producer id. */
  readonly #staged = new Map<number, Offsets>()

  /** In the order asked; MILLRACE_OFFSETS_PENDING where an open transaction has staged one of them. */
  committed(
    groupId: string,
    partitions: readonly TopicPartition[],
  ): (CommittedOffset | undefined)[] {
    for (const staged of this.#staged.values()) {
      const group = staged.get(groupId)
      const pending = partitions.find((at) => group?.has(describePartition(at)) === true)
      if (pending !== undefined) throw offsetsPending(groupId, pending)
    }
    return partitions.map((at) => this.#committed.get(groupId)?.get(describePartition(at)))
  }

  commit(groupId: string, offsets: readonly CommittedOffset[]): void {
    put(this.#committed, groupId, offsets)
  }

  /** Keeps offsets aside until the producer's transaction ends. */
  stage(producerId: number, groupId: string, offsets: readonly CommittedOffset[]): void {
    const staged: Offsets = this.#staged.get(producerId) ?? new Map()
    this.#staged.set(producerId, staged)
    put(staged, groupId, offsets)
  }

  /** Whether the producer's transaction holds offsets. */
  hasStaged(producerId: number): boolean {
    return this.#staged.has(producerId)
  }

  /** Commits or forgets what the producer's transaction staged. */
  settle(producerId: number, type: 'commit' | 'abort'): void {
    const staged = this.#staged.get(producerId)
    this.#staged.delete(producerId)
    if (type === 'abort') return
    for (const [groupId, offsets] of staged ?? [])
      put(this.#committed, groupId, [...offsets.values()])
  }

  /** Forgets a group. MILLRACE_OFFSETS_PENDING where an open transaction has staged offsets of it. */
  delete(groupId: string): void {
    for (const staged of this.#staged.values()) {
      const [pending] = staged.get(groupId)?.values() ?? []
      if (pending !== undefined) throw offsetsPending(groupId, pending)
    }
    this.#committed.delete(groupId)
  }

  /** Forgets what is committed for a topic that was deleted. */
  forget(topic: Topic): void {
    for (const offsets of this.#committed.values()) {
      for (const [name, offset] of offsets) if (offset.topic === topic) offsets.delete(name)
    }
  }
}

function put(into: Offsets, groupId: string, offsets: readonly CommittedOffset[]): void {
  const group = into.get(groupId) ?? new Map<string, CommittedOffset>()
  into.set(groupId, group)
  for (const { topic, partition, offset, metadata } of offsets) {
    group.set(describePartition({ topic, partition }), { topic, partition, offset, metadata })
  }
}
