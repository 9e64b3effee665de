/** The log of another process, over one connection. What is under way when that breaks fails with ConnectionLost. */
import type { Clock, Timer } from '../../../model/clock.ts'
import { asError, isMillraceError } from '../../../model/errors.ts'
import type { Offset, PartitionOffset, Topic, TopicPartition } from '../../../model/position.ts'
import { logClosed } from '../../log-errors.ts'
import type { FetchAnswer, FetchRequest } from '../../prefetch.ts'
import type { FoundRecord } from '../../transport.ts'
import type {
  AppendRequest,
  AskOptions,
  EndRequest,
  LogBroker,
  Question,
  Questions,
  TopicFacts,
} from '../broker.ts'
import type { BufferPool } from '../../buffer-pool.ts'
import type { Durability, EmbeddedLogLimits } from '../limits.ts'
import { Connection } from './connection.ts'
import type { Frame } from './frame.ts'
import { ConnectionLost, errorFrom, heldWithoutSync } from './sharing-errors.ts'
import { withSocket } from './socket-file.ts'
import {
  appendWords,
  fetchedFrom,
  foundFrom,
  type HelloWords,
  type NewsWords,
  type RequestWords,
  type WelcomeWords,
} from './wire.ts'

const IDS = 2 ** 32
/** Looks for a sign of life within the deadline. */
const LOOKS_PER_DEADLINE = 4

/** Where the holder is, and what the connection needs. */
export interface RemoteOptions {
  readonly folder: string
  readonly clock: Clock
  readonly limits: EmbeddedLogLimits
  readonly buffers: BufferPool
  /** What the holder must give at least. */
  readonly durability: Durability
  /** Ends the wait for its greeting. */
  readonly signal: AbortSignal | undefined
}

interface Waiting {
  readonly resolve: (frame: Frame) => void
  readonly reject: (error: Error) => void
}

/** A log that another process holds. */
export class RemoteBroker implements LogBroker, Disposable {
  readonly #clock: Clock
  readonly #lookMs: number
  readonly #connection: Connection
  readonly #facts = new Map<Topic, TopicFacts>()
  readonly #waiting = new Map<number, Waiting>()
  readonly #watches = new Map<number, () => void>()
  readonly #welcome = Promise.withResolvers<WelcomeWords | undefined>()
  #nextId = 1
  #holderPid: number | undefined
  #refusal: Error | undefined
  #onLost: (() => void) | undefined
  /** Looks since the holder last said anything. */
  #silentLooks = 0
  #look: Timer | undefined

  private constructor(path: string, { buffers, limits, clock }: RemoteOptions) {
    this.#clock = clock
    this.#lookMs = limits.holderDeadlineMs / LOOKS_PER_DEADLINE
    this.#connection = Connection.to(path, {
      buffers,
      payloadBytes: limits.frameBytes,
      onFrame: (frame) => this.#take(frame),
      onClose: (error) => this.#closed(error),
    })
    const hello: HelloWords = { log: 'millrace-embedded-log', pid: process.pid }
    this.#connection.send({ kind: 'hello', id: 0, words: hello })
  }

  /**
   * Connects to whoever serves the log; undefined where nobody does now. Throws MILLRACE_LOG_PROTOCOL,
   * or MILLRACE_LOG_IN_USE where the holder does not sync and this process asks for it.
   */
  static async connect(options: RemoteOptions): Promise<RemoteBroker | undefined> {
    return await withSocket(options.folder, async (path) => {
      const broker = new RemoteBroker(path, options)
      const giveUp = (): void => broker[Symbol.dispose]()
      const timer = options.clock.timer(options.limits.handshakeMs, giveUp)
      options.signal?.addEventListener('abort', giveUp, { once: true })
      try {
        const welcome = await broker.#welcome.promise
        if (welcome === undefined) return undefined
        if (options.durability === 'process' || welcome.durability === 'fsync') return broker
        broker[Symbol.dispose]()
        throw heldWithoutSync(options.folder, welcome.pid)
      } finally {
        timer.cancel()
        options.signal?.removeEventListener('abort', giveUp)
      }
    })
  }

  /** The process at the other end. */
  get holderPid(): number | undefined {
    return this.#holderPid
  }

  /** Calls `run` once the connection is lost, before anything that was under way fails. */
  onLost(run: () => void): void {
    this.#onLost = run
    if (this.#connection.isOver) queueMicrotask(run)
  }

  assertOpen(): void {
    if (this.#connection.isOver) throw logClosed('connection to the embedded log')
  }

  topic(topic: Topic): TopicFacts | undefined {
    return this.#facts.get(topic)
  }

  topicId(of: TopicPartition): string | undefined {
    const facts = this.topic(of.topic)
    return facts !== undefined && of.partition < facts.partitions ? facts.topicId : undefined
  }

  async ask<Q extends Question>(
    question: Q,
    request: Questions[Q]['request'],
    { signal }: AskOptions = {},
  ): Promise<Questions[Q]['answer']> {
    const { words } = await this.#request(['ask', question, request], { signal })
    return words as Questions[Q]['answer']
  }

  async append(request: AppendRequest): Promise<Offset> {
    const { words, payload } = appendWords(request)
    return (await this.#request(['append', words], { payload })).words as Offset
  }

  async end({ scope, ...end }: EndRequest): Promise<void> {
    const isFromBefore = scope.session !== undefined && scope.session !== this
    await this.#request(['end', { ...end, isFromBefore }])
  }

  async fetch(request: FetchRequest, signal: AbortSignal): Promise<FetchAnswer> {
    const frame = await this.#request(['fetch', request], { signal })
    try {
      return fetchedFrom(frame, request)
    } catch (error) {
      if (!isMillraceError(error, 'MILLRACE_RECORD_CORRUPT')) throw error
      // The holder tells which file is damaged; where it finds nothing, the way here did the damage.
      return fetchedFrom(
        await this.#request(['fetch', { ...request, isChecked: true }], { signal }),
        request,
      )
    }
  }

  async readAt(at: PartitionOffset, signal?: AbortSignal): Promise<FoundRecord | undefined> {
    return foundFrom(await this.#request(['readAt', at], { signal }), at.offset)
  }

  watch({ topic, partition }: TopicPartition, onChange: () => void): () => void {
    const id = this.#takeId()
    this.#watches.set(id, onChange)
    // Where the connection breaks, whoever comes after is told of the watch anew.
    this.#request(['watch', { id, topic, partition }]).catch(asError)
    return () => {
      if (this.#watches.delete(id)) this.#request(['unwatch', id]).catch(asError)
    }
  }

  [Symbol.dispose](): void {
    this.#connection.end({ isUrgent: true })
  }

  async #request(
    words: RequestWords,
    {
      payload = [],
      signal,
    }: { readonly payload?: readonly Buffer[]; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<Frame> {
    signal?.throwIfAborted()
    if (this.#connection.isOver) throw new ConnectionLost()
    const id = this.#takeId()
    const { promise, resolve, reject } = Promise.withResolvers<Frame>()
    // The answer will come, and find nobody.
    const giveUp = (): void => {
      this.#waiting.delete(id)
      reject(asError(signal?.reason))
    }
    this.#waiting.set(id, { resolve, reject })
    this.#look ??= this.#clock.timer(this.#lookMs, () => this.#lookForLife())
    signal?.addEventListener('abort', giveUp, { once: true })
    this.#connection.send({ kind: 'request', id, words, payload })
    try {
      return await promise
    } finally {
      signal?.removeEventListener('abort', giveUp)
    }
  }

  /**
   * A holder that is stopped keeps its socket open for ever. So one that owes an answer and says
   * nothing is asked for a sign of life, which takes it no work, and is given up when none comes.
   */
  #lookForLife(): void {
    this.#look = undefined
    if (this.#waiting.size === 0) return
    this.#silentLooks += 1
    if (this.#silentLooks > LOOKS_PER_DEADLINE) {
      this[Symbol.dispose]()
      return
    }
    // Looks go on for as long as an answer is due; this one at least is.
    this.#request(['ask', 'describeTopics', { topics: [] }]).catch(asError)
  }

  #takeId(): number {
    const id = this.#nextId
    this.#nextId = (id + 1) % IDS
    return id
  }

  #take(frame: Frame): void {
    const { kind, id, words } = frame
    this.#silentLooks = 0
    if (kind === 'welcome') this.#greeted(words as WelcomeWords)
    else if (kind === 'news') this.#hear(words as NewsWords)
    else if (kind === 'refusal' && id === 0) this.#refused(errorFrom(words))
    else this.#settle(frame)
  }

  /** The holder takes nothing more of this connection. What is under way would be refused by the next one too. */
  #refused(error: Error): void {
    this.#refusal = error
    this.#welcome.reject(error)
  }

  #greeted(welcome: WelcomeWords): void {
    this.#holderPid = welcome.pid
    for (const facts of welcome.topics) this.#facts.set(facts.topic, facts)
    this.#welcome.resolve(welcome)
  }

  #settle(frame: Frame): void {
    const waiting = this.#waiting.get(frame.id)
    this.#waiting.delete(frame.id)
    // Nobody waits any more: it was cancelled.
    if (waiting === undefined) frame.release()
    else if (frame.kind === 'refusal') waiting.reject(errorFrom(frame.words))
    else waiting.resolve(frame)
  }

  #hear({ changed = [], made, gone }: NewsWords): void {
    if (made !== undefined) this.#facts.set(made.topic, made)
    if (gone !== undefined) this.#facts.delete(gone)
    for (const id of changed) this.#watches.get(id)?.()
  }

  #closed(error: Error | undefined): void {
    const refusal = this.#refusal ?? (isMillraceError(error) ? error : undefined)
    if (refusal === undefined) this.#welcome.resolve(undefined)
    else this.#welcome.reject(refusal)
    this.#look?.cancel()
    this.#onLost?.()
    const lost = new ConnectionLost('the connection to the holder of the log broke', {
      cause: error,
    })
    for (const { reject } of this.#waiting.values()) reject(refusal ?? lost)
    this.#waiting.clear()
  }
}
