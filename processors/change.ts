/** What the steps of a table hand on: an update, with what it replaced. */

/** One update of a table's row. Null means that there is no row. */
export interface Change<V> {
  readonly newValue: V | null
  /** What stood there before; null also where the table keeps no store and cannot know. */
  readonly oldValue: V | null
}
