/** The records of the benchmark of restarts, and what is committed of what comes of them. */
import { sleep, type Clock } from '../../model/clock.ts'
import { asOffset, asPartition, asTopic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import type { Producer, Transport } from '../../transport/transport.ts'
import { DONE, WORK } from './restore-shape.ts'

const FLUSH_RECORDS = 5_000
/** While something is killed: this many records, this often. */
const STEADY_RECORDS = 10
const STEADY_MS = 10

const INPUT = { topic: asTopic(WORK), partition: asPartition(0) }
const OUTPUT = { topic: asTopic(DONE), partition: asPartition(0) }

/** Keys come in an order that is none of their bytes. */
function keyOf(n: number): Buffer {
  return Buffer.from((Math.imul(n + 1, 0x9e37_79b1) >>> 0).toString(16).padStart(8, '0'))
}

/** Writes records; each key once, and then again and again. */
export class RestoreFeed implements AsyncDisposable {
  readonly #log: Transport
  readonly #clock: Clock
  readonly #producer: Producer
  readonly #keys: number
  #sent = 0
  #steady: { readonly stop: AbortController; readonly run: Promise<void> } | undefined

  constructor(log: Transport, clock: Clock, keys: number) {
    this.#log = log
    this.#clock = clock
    this.#keys = keys
    this.#producer = log.openProducer({})
  }

  /** One record for each key. */
  async fill(): Promise<void> {
    await this.#producer.init()
    while (this.#sent < this.#keys) {
      this.#send(Math.min(FLUSH_RECORDS, this.#keys - this.#sent))
      await this.#producer.flush()
    }
  }

  /** Goes on with a thousand a second until `rest`. */
  work(): void {
    const stop = new AbortController()
    const run = async (): Promise<void> => {
      while (!stop.signal.aborted) {
        this.#send(STEADY_RECORDS)
        await this.#producer.flush()
        await sleep(this.#clock, STEADY_MS)
      }
    }
    this.#steady = { stop, run: run() }
  }

  async rest(): Promise<void> {
    this.#steady?.stop.abort()
    await this.#steady?.run
    this.#steady = undefined
  }

  /** Resolves when every record has had its effect. */
  async untilDone(): Promise<void> {
    await using reader = this.#log.openReader({
      isolation: 'read_committed',
      prefetchBytes: 2 ** 22,
    })
    const cursor = reader.open({ ...OUTPUT, offset: asOffset(0) })
    let done = 0
    while (done < this.#sent) {
      const batch = cursor.take()
      done += batch?.records.length ?? 0
      batch?.release()
      if (batch === undefined) await reader.ready()
    }
  }

  /** Resolves with the time at which the first output is committed that nobody has sent yet. */
  async nextOutput(): Promise<number> {
    const [offset] = await this.#log.admin.offsets([OUTPUT], 'latest', 'read_uncommitted')
    await using reader = this.#log.openReader({
      isolation: 'read_committed',
      prefetchBytes: 2 ** 20,
    })
    const cursor = reader.open({ ...OUTPUT, offset: offset ?? asOffset(0) })
    for (;;) {
      const batch = cursor.take()
      if (batch === undefined) await reader.ready()
      else if (batch.records.length > 0) return this.#clock.now()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.rest()
    await this.#producer[Symbol.asyncDispose]()
  }

  #send(records: number): void {
    for (let i = 0; i < records; i += 1) {
      const n = this.#sent++
      this.#producer.send({
        ...INPUT,
        key: keyOf(n % this.#keys),
        value: Buffer.from(String(n)),
        timestamp: this.#clock.now(),
        headers: NO_HEADERS,
      })
    }
  }
}
