/** `millrace send`: lines of standard input into a topic. */
import { addAbortSignal, type Readable } from 'node:stream'
import type { Clock } from '../model/clock.ts'
import { partitionForKey } from '../model/murmur2.ts'
import { asPartition, type Partition } from '../model/position.ts'
import { NO_HEADERS } from '../model/record.ts'
import type { Producer, TopicDescription } from '../transport/transport.ts'
import { defineCommand } from './command.ts'
import { existingTopic } from './existing-topic.ts'
import { linesOf, recordOfLine } from './lines.ts'
import { logOptions, logPlaceOf } from './log-place.ts'
import { openLog } from './open-log.ts'
import { optional, text } from './options.ts'

/** Above it no more is read until the log has taken what was sent. */
const MOST_BUFFERED_BYTES = 8 * 2 ** 20
const MAKE_IT = 'To make it: millrace topics <pipeline.ts> --create'

/** The command. */
export const sendCommand = defineCommand({
  name: 'send',
  summary: 'puts lines of standard input into a topic',
  details:
    'A line is a key, a tab and a value; one without a tab is a value without a key. Keys go to the\n' +
    "partitions that Kafka's own clients choose, lines without a key to all in turn. Bytes are sent\n" +
    'as they are: what is UTF-8 comes in as text or JSON.',
  operands: { usage: '<topic>', least: 1, most: 1 },
  options: {
    ...logOptions,
    separator: optional(text, 'what stands between key and value; otherwise a tab'),
    tombstone: optional(text, 'a value of this text is none, which deletes the row of its key'),
  },
  examples: [
    { line: 'millrace send lines --embedded data < book.txt', says: 'a record for each line' },
    {
      line: "printf 'a\\tto be\\n' | millrace send lines --brokers localhost:9092",
      says: 'one with a key, into a Kafka cluster',
    },
    {
      line: 'millrace send users --embedded data --separator : --tombstone NULL < users.txt',
      says: 'a table: ann:{"age":7} sets a row, ann:NULL deletes it',
    },
  ],
  run: async ({ operands: [name = ''], options, output, clock, signal }) => {
    await using log = await openLog(logPlaceOf(options), { clock, existing: true, signal })
    const topic = await existingTopic(log.transport, name, MAKE_IT)
    await using producer = log.transport.openProducer({})
    await producer.init()
    const { stdin } = process
    if (stdin.isTTY && !output.json) output.note('a line is a record; Ctrl-D ends')
    const format = {
      separator: Buffer.from(options.separator ?? '\t'),
      tombstone: options.tombstone === undefined ? undefined : Buffer.from(options.tombstone),
    }
    const sending = new Sending(producer, topic, clock)
    try {
      for await (const lines of linesOf(bytesOf(stdin, signal))) {
        for (const line of lines) sending.send(recordOfLine(line, format))
        await sending.advance()
      }
    } finally {
      // Also where the input ended badly: what was read before stands, and is counted.
      await sending.end().finally(() => {
        const { acknowledged: records } = sending
        const what = records === 1 ? 'record' : 'records'
        output.note(`sent ${records} ${what} to ${name}`, { topic: name, records })
      })
    }
    return undefined
  },
})

/** The chunks of a stream as it gives them, until `signal` aborts. */
async function* bytesOf(stream: Readable, signal: AbortSignal): AsyncGenerator<Buffer> {
  // Without an encoding a stream gives buffers, which its type does not know.
  for await (const chunk of addAbortSignal(signal, stream)) yield chunk as Buffer
}

/** Records on their way to a topic. A flush is under way whenever something was sent, so that a line is there as soon as it was typed. */
class Sending {
  readonly #producer: Producer
  readonly #topic: TopicDescription
  readonly #clock: Clock
  #sent = 0
  #acknowledged = 0
  #flush: Promise<void> | undefined
  #failure: { readonly error: unknown } | undefined

  constructor(producer: Producer, topic: TopicDescription, clock: Clock) {
    this.#producer = producer
    this.#topic = topic
    this.#clock = clock
  }

  /** How many records the log has for certain. */
  get acknowledged(): number {
    return this.#acknowledged
  }

  send(record: { readonly key: Buffer | null; readonly value: Buffer | null }): void {
    this.#producer.send({
      topic: this.#topic.topic,
      partition: this.#partitionOf(record.key),
      ...record,
      timestamp: this.#clock.now(),
      headers: NO_HEADERS,
    })
    this.#sent += 1
  }

  /** Lets what was sent leave, and waits only where too much of it has not. Throws what went wrong with records sent before. */
  async advance(): Promise<void> {
    this.#begin()
    while (this.#producer.bufferedBytes > MOST_BUFFERED_BYTES && this.#failure === undefined) {
      await this.#flush
      this.#begin()
    }
    this.#throwFailure()
  }

  /** Waits until the log has all. */
  async end(): Promise<void> {
    await this.#flush
    this.#begin()
    await this.#flush
    this.#throwFailure()
  }

  /** One flush at a time, and none after a failure. */
  #begin(): void {
    const sent = this.#sent
    if (this.#flush !== undefined || this.#failure !== undefined || sent === this.#acknowledged)
      return
    this.#flush = this.#producer.flush().then(
      () => {
        this.#acknowledged = sent
        this.#flush = undefined
      },
      (error: unknown) => {
        this.#failure = { error }
        this.#flush = undefined
      },
    )
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error
  }

  #partitionOf(key: Buffer | null): Partition {
    const { partitions } = this.#topic
    return asPartition(key === null ? this.#sent % partitions : partitionForKey(key, partitions))
  }
}
