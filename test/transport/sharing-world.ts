/** What the tests of shared logs have in common: a topic, and sending and reading text. */
import { asOffset, asPartition, asTopic } from '../../model/position.ts'
import { NO_HEADERS } from '../../model/record.ts'
import { systemClock } from '../../runtime/system-clock.ts'
import type { EmbeddedTransport } from '../../transport/embedded/embedded-transport.ts'
import type { EmbeddedLogOptions } from '../../transport/embedded/limits.ts'
import { openEmbeddedLog } from '../../transport/embedded/open.ts'
import type { Producer, Reader, Transport } from '../../transport/transport.ts'

export const TOPIC = asTopic('shared')
export const PLACE = { topic: TOPIC, partition: asPartition(0) }
const DEADLINE_MS = 20_000

/** Opens a log that others may open too. */
export async function openShared(
  folder: string,
  options: Partial<EmbeddedLogOptions> = {},
): Promise<EmbeddedTransport> {
  return await openEmbeddedLog({ folder, clock: systemClock(), share: true, ...options })
}

/** Queues texts. */
export function put(producer: Producer, texts: readonly string[]): void {
  for (const text of texts) {
    const value = Buffer.from(text)
    producer.send({ ...PLACE, key: null, value, timestamp: 1, headers: NO_HEADERS })
  }
}

/** Sends texts outside any transaction. */
export async function send(log: Transport, texts: readonly string[]): Promise<void> {
  await using producer = log.openProducer({})
  await producer.init()
  put(producer, texts)
  await producer.flush()
}

/** The first `count` committed texts. */
export async function received(log: Transport, count: number): Promise<readonly string[]> {
  await using reader = log.openReader({ isolation: 'read_committed', prefetchBytes: 1_000_000 })
  const texts = new Texts(reader)
  return await texts.upTo(count)
}

/** What one reader has read. */
export class Texts {
  readonly #reader: Reader
  readonly #cursor: ReturnType<Reader['open']>
  readonly #texts: string[] = []

  constructor(reader: Reader) {
    this.#reader = reader
    this.#cursor = reader.open({ ...PLACE, offset: asOffset(0) })
  }

  /** Reads on until there are `count`; fails where more came with them. */
  async upTo(count: number): Promise<readonly string[]> {
    while (this.#texts.length < count) {
      const batch = this.#cursor.take()
      if (batch === undefined) await this.#reader.ready(AbortSignal.timeout(DEADLINE_MS))
      for (const { value } of batch?.records ?? []) this.#texts.push(value?.toString() ?? '')
    }
    return this.#texts
  }
}
