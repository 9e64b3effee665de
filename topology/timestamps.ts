/** Where a record's timestamp comes from, for the `timestamp` of a source. They are Kafka Streams' four, by its names. */
import type { TimestampExtractor } from './graph.ts'

/** The record's own; a negative one is a record that cannot be read. What a source does where it is told nothing. */
export const failOnInvalidTimestamp: TimestampExtractor = ({ timestamp }) => {
  if (timestamp < 0) throw new Error(`its timestamp is ${timestamp}`)
  return timestamp
}

/** The record's own; a record with a negative one is left out, counted in `dropped-records` and told as an event. */
export const logAndSkipOnInvalidTimestamp: TimestampExtractor = ({ timestamp }) => timestamp

/** The record's own, or the largest of its partition so far where it is negative; before the first there is none, and the record cannot be read. */
export const usePartitionTimeOnInvalidTimestamp: TimestampExtractor = (
  { timestamp },
  partitionTimeMs,
) => {
  if (timestamp >= 0) return timestamp
  if (partitionTimeMs >= 0) return partitionTimeMs
  throw new Error(`its timestamp is ${timestamp}, and no record of its partition had one before`)
}

/** The time at which the record is taken in. It is another one where the record is taken in again: what is computed from it is not repeatable. */
export const wallclockTimestamp: TimestampExtractor = (_record, _partitionTimeMs, clock) =>
  clock.now()
