/**
 * How far each source partition was taken in by an enrich step: the newest row of each says so.
 *
 * A mark holds for the topic that it was made of. One that was deleted and made anew under the same
 * name begins at offset 0 again: by its name alone, its records below the old mark would be taken for
 * repeated ones and be lost.
 */
import type { PendingRow } from './enrich-rows.ts'

type Place = Pick<PendingRow, 'topic' | 'topicId' | 'partition' | 'offset' | 'sequence'>

interface Mark {
  readonly arrival: number
  readonly topicId: string | null
  readonly offset: number
  readonly sequence: number
  /** The row was answered and stays as a mark only. */
  isDone: boolean
}

/** The newest row of each source partition. Rows without a source (made by an answer of another step) have none. */
export class SourceMarks {
  readonly #marks = new Map<string, Mark>()

  /** A row that was in the store at the start, in order of arrival. */
  found(arrival: number, row: PendingRow): void {
    if (row.topic !== '')
      this.#marks.set(keyOf(row), { ...placeOf(row), arrival, isDone: row.done })
  }

  /** Whether a record was taken in before. */
  isRepeated(row: Place): boolean {
    const mark = this.#marks.get(keyOf(row))
    if (row.topic === '' || mark === undefined || !isOfOneTopic(row, mark)) return false
    return row.offset < mark.offset || (row.offset === mark.offset && row.sequence <= mark.sequence)
  }

  /** A new row. Answers the arrival number of a row that stayed only as a mark and is not needed now. */
  take(arrival: number, row: Place): number | undefined {
    if (row.topic === '') return undefined
    const before = this.#marks.get(keyOf(row))
    this.#marks.set(keyOf(row), { ...placeOf(row), arrival, isDone: false })
    return before?.isDone === true ? before.arrival : undefined
  }

  /** Whether a row that is answered has to stay; it is then only a mark. */
  keepsAsMark(arrival: number): boolean {
    for (const mark of this.#marks.values()) {
      if (mark.arrival !== arrival) continue
      mark.isDone = true
      return true
    }
    return false
  }
}

function keyOf({ topic, partition }: Place): string {
  return `${topic}/${partition}`
}

/** Rows of earlier versions do not know their topic's id; they hold for any. */
function isOfOneTopic(row: Place, mark: Mark): boolean {
  return row.topicId === null || mark.topicId === null || row.topicId === mark.topicId
}

function placeOf({ topicId, offset, sequence }: Place): Omit<Mark, 'arrival' | 'isDone'> {
  return { topicId, offset, sequence }
}
