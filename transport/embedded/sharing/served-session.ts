/**
 * One process that the holder of a log serves. Requests are begun in the order they came, which is
 * what a producer's sequences count on; they are answered as they are done. Nothing more is read from
 * a process that has too much under way or does not take its answers. When its connection ends, its
 * open transactions are aborted: nobody is there who could commit them.
 */
import type { Socket } from 'node:net'
import { asError } from '../../../model/errors.ts'
import type { Clock, Timer } from '../../../model/clock.ts'
import { asOffset, type PartitionOffset } from '../../../model/position.ts'
import type { EmbeddedLog } from '../embedded-log.ts'
import type { EmbeddedLogLimits } from '../limits.ts'
import { LocalBroker } from '../local-broker.ts'
import { Connection } from './connection.ts'
import type { Frame } from './frame.ts'
import { errorWords, protocolBroken } from './sharing-errors.ts'
import {
  appendFrom,
  type AppendWords,
  type EndWords,
  type FetchedWords,
  type FetchWords,
  type FoundWords,
  type HelloWords,
  type NewsWords,
  type RequestWords,
  type WatchWords,
  type WelcomeWords,
} from './wire.ts'

/** What stands for a session that is over, where a transaction was begun in one. */
const EARLIER_SESSION: object = Object.freeze({})
/** What a request takes besides its payload, about. */
const REQUEST_BYTES = 512

/** What may take as long as a rebalance, which the next holder begins anew in any case. */
const WAITS_FOR_OTHERS: ReadonlySet<string> = new Set(['joinGroup', 'syncGroup'])

interface Reply {
  readonly words: unknown
  readonly payload?: readonly Buffer[]
  readonly release?: () => void
}

/** What a session needs. */
export interface SessionOptions {
  readonly log: EmbeddedLog
  readonly clock: Clock
  readonly limits: EmbeddedLogLimits
  readonly onClose: (session: ServedSession) => void
}

/** A process that is served. */
export class ServedSession {
  readonly #options: SessionOptions
  readonly #connection: Connection
  readonly #broker: LocalBroker
  readonly #watches = new Map<number, () => void>()
  readonly #changed = new Set<number>()
  /** What is waited for before the session closes. */
  readonly #settling = new Set<Promise<void>>()
  readonly #handshake: Timer
  #unwatchTopics: (() => void) | undefined
  #requestsUnderWay = 0
  #bytesUnderWay = 0
  #isTelling = false
  #isPaused = false
  #isClosing = false

  constructor(socket: Socket, options: SessionOptions) {
    this.#options = options
    this.#broker = new LocalBroker(options.log)
    this.#connection = Connection.of(socket, {
      buffers: options.log.resources.buffers,
      payloadBytes: options.limits.frameBytes,
      onFrame: (frame) => this.#take(frame),
      onClose: () => this.#closed(),
      onTaken: () => {
        this.#throttle()
        this.#tellSoon()
      },
    })
    this.#handshake = options.clock.timer(options.limits.handshakeMs, () => this.#connection.end())
  }

  /** Takes nothing more, lets what is under way be answered, and ends the connection. */
  async close(): Promise<void> {
    this.#isClosing = true
    this.#connection.pause()
    await Promise.all(this.#settling)
    this.#connection.end()
  }

  /** Ends the connection at once. */
  drop(): void {
    this.#connection.end({ isUrgent: true })
  }

  #take(frame: Frame): void {
    if (this.#unwatchTopics === undefined) {
      this.#greet(frame)
      return
    }
    if (frame.kind !== 'request') throw protocolBroken(`a ${frame.kind} where a request is due`)
    // What was not begun is asked of the next holder.
    if (!this.#isClosing) this.#serve(frame)
  }

  #greet({ kind, words }: Frame): void {
    const hello = words as Partial<HelloWords> | null
    if (kind !== 'hello' || hello?.log !== 'millrace-embedded-log') {
      throw protocolBroken('what came is no greeting of a millrace')
    }
    this.#handshake.cancel()
    const { log } = this.#options
    const welcome: WelcomeWords = {
      pid: process.pid,
      durability: log.resources.durability,
      topics: log.topics().map(({ facts }) => facts),
    }
    this.#connection.send({ kind: 'welcome', id: 0, words: welcome })
    // Told at once, so that whoever made a topic knows it before it is told that it was made.
    this.#unwatchTopics = log.watchTopics((topic) => {
      const made = log.topic(topic)?.facts
      this.#tell(made === undefined ? { gone: topic } : { made })
    })
  }

  #serve(frame: Frame): void {
    const [question, name] = frame.words as RequestWords
    if (question === 'ask' && WAITS_FOR_OTHERS.has(name)) {
      // It may wait for what is yet to be read.
      void this.#answer(frame)
      return
    }
    const bytes = REQUEST_BYTES + frame.payload.length
    this.#requestsUnderWay += 1
    this.#bytesUnderWay += bytes
    const settling = this.#answer(frame).then(() => {
      this.#settling.delete(settling)
      this.#requestsUnderWay -= 1
      this.#bytesUnderWay -= bytes
      this.#throttle()
    })
    this.#settling.add(settling)
    this.#throttle()
  }

  /** Never rejects: what goes wrong is told to the one who asked. */
  async #answer({ id, words, payload, release }: Frame): Promise<void> {
    try {
      const reply = await this.#reply(words as RequestWords, payload)
      const frame = { kind: 'answer', id, words: reply.words } as const
      this.#connection.send({ ...frame, payload: reply.payload ?? [] }, reply.release)
    } catch (error) {
      this.#connection.send({ kind: 'refusal', id, words: errorWords(error) })
    } finally {
      release()
    }
  }

  async #reply(words: RequestWords, payload: Buffer): Promise<Reply> {
    switch (words[0]) {
      case 'ask':
        return { words: await this.#broker.ask(words[1], words[2]) }
      case 'append':
        return await this.#append(words[1], payload)
      case 'end':
        return await this.#end(words[1])
      case 'fetch':
        return await this.#fetch(words[1])
      case 'readAt':
        return await this.#readAt(words[1])
      case 'watch':
        return this.#watch(words[1])
      case 'unwatch':
        return this.#unwatch(words[1])
      default:
        words satisfies never
        throw protocolBroken('a request of an unknown kind')
    }
  }

  async #append(words: AppendWords, payload: Buffer): Promise<Reply> {
    const append = appendFrom(words, payload)
    const { identity, at } = words
    const { transactionalId } = identity
    const scope =
      transactionalId === undefined ? undefined : { transactionalId, session: undefined }
    return { words: await this.#broker.append({ identity, at, append, scope }) }
  }

  async #end({ isFromBefore, ...end }: EndWords): Promise<Reply> {
    const session = isFromBefore ? EARLIER_SESSION : undefined
    const { transactionalId = '' } = end.identity
    await this.#broker.end({ ...end, scope: { transactionalId, session } })
    return { words: null }
  }

  async #fetch({ isChecked = false, ...request }: FetchWords): Promise<Reply> {
    if (isChecked) (await this.#broker.fetch(request)).batch?.release()
    const { read, lastStableOffset } = await this.#broker.fetchRaw(request)
    if (read === undefined) return { words: { lastStableOffset } satisfies FetchedWords }
    const { leaderEpoch, sizeBytes, batches, release } = read
    const batch = { nextOffset: asOffset(read.nextOffset), leaderEpoch, sizeBytes }
    const words: FetchedWords = { lastStableOffset, batch }
    return { words, payload: batches, ...(batches.length > 0 && { release }) }
  }

  async #readAt(at: PartitionOffset): Promise<Reply> {
    const found = await this.#broker.readRawAt(at)
    if (found === undefined) return { words: null satisfies FoundWords }
    const { topicId, read } = found
    const words: FoundWords = { topicId, leaderEpoch: read.leaderEpoch }
    const { batches, release } = read
    return { words, payload: batches, ...(batches.length > 0 && { release }) }
  }

  #watch({ id, ...of }: WatchWords): Reply {
    const unwatch = this.#broker.watch(of, () => {
      this.#changed.add(id)
      this.#tellSoon()
    })
    this.#watches.set(id, unwatch)
    return { words: null }
  }

  #unwatch(id: number): Reply {
    this.#watches.get(id)?.()
    this.#watches.delete(id)
    this.#changed.delete(id)
    return { words: null }
  }

  /** One frame for all partitions that a commit changes; none while earlier ones are not taken. */
  #tellSoon(): void {
    if (this.#isTelling || this.#changed.size === 0) return
    this.#isTelling = true
    queueMicrotask(() => {
      this.#isTelling = false
      if (this.#isOverfull) return
      this.#tell({ changed: [...this.#changed] })
      this.#changed.clear()
    })
  }

  #tell(words: NewsWords): void {
    this.#connection.send({ kind: 'news', id: 0, words })
  }

  get #isOverfull(): boolean {
    return this.#connection.unsentBytes > this.#options.limits.sessionBytes
  }

  #throttle(): void {
    const { sessionBytes, sessionRequests } = this.#options.limits
    const isBusy =
      this.#bytesUnderWay > sessionBytes ||
      this.#requestsUnderWay >= sessionRequests ||
      this.#isOverfull ||
      this.#isClosing
    if (isBusy === this.#isPaused) return
    this.#isPaused = isBusy
    if (isBusy) this.#connection.pause()
    else this.#connection.resume()
  }

  #closed(): void {
    this.#handshake.cancel()
    this.#unwatchTopics?.()
    for (const unwatch of this.#watches.values()) unwatch()
    this.#watches.clear()
    this.#options.onClose(this)
    // A log that closes leaves them to its next opening.
    this.#broker.leave().catch((error: unknown) => asError(error))
  }
}
