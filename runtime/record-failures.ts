/** What a task does with a record that cannot be read or processed: the author's policy, carried out. */
import { inspect } from 'node:util'
import { MillraceError } from '../model/errors.ts'
import { asOffset, describePosition } from '../model/position.ts'
import type { LogRecord } from '../model/record.ts'
import type { DeadLetter } from '../processors/processor.ts'
import { SchemaPending } from '../serdes/serde.ts'
import { TransportError } from '../transport/errors.ts'
import { deadLetterRecord } from './dead-letter.ts'
import { processingError } from './failure.ts'
import type { RecordQueue } from './record-queue.ts'
import type { UnitServices } from './services.ts'
import type { Task } from './task.ts'
import type { AnyRecord } from './wiring.ts'

/** Longest text of a key in a message, in characters. */
const MAX_KEY_TEXT = 200

/** The failures of one task's records. */
export class RecordFailures {
  readonly #task: Task
  readonly #services: UnitServices

  constructor(task: Task, services: UnitServices) {
    this.#task = task
    this.#services = services
  }

  /** A record whose bytes or timestamp are refused. Returns to leave it out; throws to fail the task. */
  onUnreadable(error: Error, record: LogRecord, { cursor }: RecordQueue): void {
    const { topic, partition } = cursor
    const { deserialization } = this.#services.failures
    if (deserialization === 'stop') throw error
    if (deserialization === 'dead-letter') this.#send(letterOf(error, record, cursor))
    const place = describePosition({ topic, partition, offset: asOffset(record.offset) })
    this.#leaveOut(error, { place, processor: topic })
  }

  /** A record that its source's timestamp extractor leaves out. */
  onLeftOut(error: Error, record: LogRecord, { cursor }: RecordQueue): void {
    const { topic, partition } = cursor
    const place = describePosition({ topic, partition, offset: asOffset(record.offset) })
    this.#leaveOut(error, { place, processor: topic })
  }

  /** A processor threw. Returns to leave the rest of the subtree out; throws to fail the task. */
  onThrown(error: Error, processor: string, record: AnyRecord): void {
    if (!isRecords(error)) throw error
    const source = this.#task.source()
    const place =
      source === undefined
        ? `the answer for key ${describeKey(record.key)}`
        : describePosition({ ...source, offset: asOffset(source.record.offset) })
    const { processing } = this.#services.failures
    // Behind an asynchronous step the source's bytes are gone by: a letter without them would lose the record.
    const isUnsendable = processing === 'dead-letter' && source === undefined
    if (processing === 'stop' || isUnsendable) throw processingError(error, processor, place)
    if (source !== undefined && processing === 'dead-letter') {
      this.#send(letterOf(error, source.record, source))
    }
    this.#leaveOut(error, { place, processor })
  }

  /** A punctuation threw. Returns to leave out what it had not done yet; throws to fail the task. */
  onPunctuation(error: Error, processor: string): void {
    if (!isRecords(error)) throw error
    const place = 'a punctuation'
    // There is no record that a dead letter could hold.
    const { processing } = this.#services.failures
    if (processing !== 'skip') throw processingError(error, processor, place)
    this.#leaveOut(error, { place, processor })
  }

  #send(letter: DeadLetter): void {
    const { outputs, deadLetters } = this.#services
    outputs.emit(deadLetterRecord(letter, deadLetters))
  }

  #leaveOut(error: Error, { place, processor }: { place: string; processor: string }): void {
    const { onEvent, counters } = this.#services
    counters.counter({ task: this.#task.id, processor, name: 'dropped-records' })()
    onEvent({ kind: 'skipped', place, error })
  }
}

function letterOf(
  error: Error,
  record: LogRecord,
  { topic, partition }: { readonly topic: string; readonly partition: number },
): DeadLetter {
  const { key, value, timestamp, headers, offset } = record
  return { error, key, value, timestamp, headers, topic, partition, offset }
}

/** Whether the record is to blame. Errors of the log, of state and of the configuration are not the record's: leaving it out would hide them. */
function isRecords(error: Error): boolean {
  if (error instanceof TransportError || error instanceof SchemaPending) return false
  if (!(error instanceof MillraceError)) return true
  return !NOT_THE_RECORDS.has(error.code) && !error.code.startsWith('MILLRACE_STATE_')
}

const NOT_THE_RECORDS: ReadonlySet<string> = new Set([
  'MILLRACE_PROCESSING_FAILED',
  'MILLRACE_NO_DEAD_LETTER_TOPIC',
  'MILLRACE_ENRICH_FAILED',
])

function describeKey(key: unknown): string {
  return (typeof key === 'string' ? key : inspect(key)).slice(0, MAX_KEY_TEXT)
}
