/** The committed offsets of groups, and which of them an open transaction is about to change. */
import { describePartition, type Topic, type TopicPartition } from '../../model/position.ts'
import { offsetsPending } from '../log-errors.ts'
import type { CommittedOffset } from '../transport.ts'
import {
  committedOffset,
  groupKey,
  groupPrefix,
  partitionOfGroupKey,
  type GroupRow,
} from './index-rows.ts'
import type { RowChange } from './log-index.ts'

/** A group's offset on its way. */
export interface GroupOffset {
  readonly groupId: string
  readonly offset: CommittedOffset
}

/** All groups of a log. */
export class GroupOffsets {
  readonly #rows: Map<string, GroupRow>
  /** By key: how many open transactions hold it. */
  readonly #held = new Map<string, number>()

  constructor(rows: Map<string, GroupRow>) {
    this.#rows = rows
  }

  /** A group's offsets, in the order asked. Throws MILLRACE_OFFSETS_PENDING while one is held. */
  committed(
    groupId: string,
    partitions: readonly TopicPartition[],
  ): readonly (CommittedOffset | undefined)[] {
    return partitions.map((at) => {
      const key = groupKey(groupId, at)
      if (this.#held.has(key)) throw offsetsPending(groupId, at)
      const row = this.#rows.get(key)
      return row === undefined ? undefined : committedOffset(at, row)
    })
  }

  /** Makes an offset unknown until `release`, once for each call. */
  hold({ groupId, offset }: GroupOffset): void {
    const key = groupKey(groupId, offset)
    this.#held.set(key, (this.#held.get(key) ?? 0) + 1)
  }

  /** Takes back one `hold`. */
  release({ groupId, offset }: GroupOffset): void {
    const key = groupKey(groupId, offset)
    const left = (this.#held.get(key) ?? 1) - 1
    if (left === 0) this.#held.delete(key)
    else this.#held.set(key, left)
  }

  /** The rows that commit these offsets. */
  rows(offsets: Iterable<GroupOffset>): readonly RowChange[] {
    return Array.from(offsets, ({ groupId, offset }) => {
      const value: GroupRow = { offset: offset.offset, metadata: offset.metadata }
      return { key: groupKey(groupId, offset), value }
    })
  }

  /** Shows what `rows` made so, once the index has it. */
  apply(offsets: Iterable<GroupOffset>): void {
    for (const { groupId, offset } of offsets) {
      const row: GroupRow = { offset: offset.offset, metadata: offset.metadata }
      this.#rows.set(groupKey(groupId, offset), row)
    }
  }

  /** The rows that forget a topic in every group. */
  forgettingRows(topic: Topic): readonly RowChange[] {
    const keys = [...this.#rows.keys()].filter((key) => topicOf(key) === topic)
    return keys.map((key) => ({ key, value: undefined }))
  }

  /** Shows what `forgettingRows` made so, once the index has it. */
  forget(topic: Topic): void {
    for (const key of this.#rows.keys()) if (topicOf(key) === topic) this.#rows.delete(key)
  }

  /** The rows that forget a group. Throws MILLRACE_OFFSETS_PENDING while one of its offsets is held. */
  deletingRows(groupId: string): readonly RowChange[] {
    const prefix = groupPrefix(groupId)
    for (const key of this.#held.keys()) {
      if (key.startsWith(prefix)) throw offsetsPending(groupId, partitionOfGroupKey(key))
    }
    const keys = [...this.#rows.keys()].filter((key) => key.startsWith(prefix))
    return keys.map((key) => ({ key, value: undefined }))
  }

  /** Shows what `deletingRows` made so, once the index has it. */
  delete(rows: readonly RowChange[]): void {
    for (const { key } of rows) this.#rows.delete(key)
  }
}

/** One string for each offset of each group. */
export function groupOffsetName({ groupId, offset }: GroupOffset): string {
  return `${groupId} ${describePartition(offset)}`
}

function topicOf(key: string): Topic {
  return partitionOfGroupKey(key).topic
}
