/**
 * The log of a folder that several processes use, whoever holds it. One holds it and serves the
 * others; when it ends, cleanly or not, every other one looks for a new holder: whoever serves by
 * then, or itself if it gets the lock. Readers and producers of this process stay as they are.
 *
 * What was asked and not answered is asked again of the next holder, in the order of the asking, so
 * that a producer's sequences are in order still. That doubles nothing: appends carry sequences,
 * topics the ids they are to have, commits their number, and everything else says how things shall
 * be. What cannot be asked twice, and the calls of a transaction, fail.
 */
import type { Timer } from '../../../model/clock.ts'
import { asError } from '../../../model/errors.ts'
import type { Offset, PartitionOffset, Topic, TopicPartition } from '../../../model/position.ts'
import { logClosed, transactionLost } from '../../log-errors.ts'
import type { FetchAnswer, FetchRequest } from '../../prefetch.ts'
import type { FoundRecord } from '../../transport.ts'
import {
  entersSession,
  type AppendRequest,
  type AskOptions,
  type EndRequest,
  type LogBroker,
  type Question,
  type Questions,
  type TopicFacts,
} from '../broker.ts'
import { findHolder, type Holding, type HoldingOptions } from './holding.ts'
import { ConnectionLost, logUnreachable } from './sharing-errors.ts'

/** A call that was made and not answered. */
interface Call {
  readonly options: AskOptions
  /** Asks a holder; settles the call unless the connection broke. */
  readonly send: (holding: Holding) => void
  readonly fail: (error: Error) => void
  /** Whom it was sent to; undefined while it waits for a holder. */
  sentTo: Holding | undefined
  deadline: Timer | undefined
}

interface Watch {
  readonly of: TopicPartition
  readonly onChange: () => void
  end: () => void
}

/** A log that is held by one process at a time. */
export class SharedBroker implements LogBroker, AsyncDisposable {
  readonly #options: HoldingOptions
  /** In the order of the asking. */
  readonly #calls = new Set<Call>()
  readonly #watches = new Set<Watch>()
  readonly #holderWatchers = new Set<() => void>()
  readonly #closing = new AbortController()
  #holding: Holding | undefined
  /** The process that holds the log, or did last. */
  #holderPid: number | undefined
  /** What is known of topics while nobody holds the log. */
  #last: LogBroker
  #failure: Error | undefined
  #search: Promise<void> | undefined
  #closed: Promise<void> | undefined

  private constructor(options: HoldingOptions, holding: Holding) {
    this.#options = options
    this.#last = holding.broker
    this.#begin(holding)
  }

  /** Joins the processes that use a log. Throws MILLRACE_LOG_IN_USE where it is held by one that does not share. */
  static async open(options: HoldingOptions): Promise<SharedBroker> {
    const { signal } = options.log
    const holding = await findHolder(options, { isFirst: true, ...(signal && { signal }) })
    return new SharedBroker(options, holding)
  }

  assertOpen(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  topic(topic: Topic): TopicFacts | undefined {
    return this.#last.topic(topic)
  }

  topicId(of: TopicPartition): string | undefined {
    return this.#last.topicId(of)
  }

  ask<Q extends Question>(
    question: Q,
    request: Questions[Q]['request'],
    options: AskOptions = {},
  ): Promise<Questions[Q]['answer']> {
    return this.#call(({ broker }) => broker.ask(question, request, options), options)
  }

  append(request: AppendRequest): Promise<Offset> {
    return this.#call(({ broker }) => broker.append(request), { scope: request.scope })
  }

  end(request: EndRequest): Promise<void> {
    return this.#call(({ broker }) => broker.end(request))
  }

  fetch(request: FetchRequest, signal: AbortSignal): Promise<FetchAnswer> {
    return this.#call(({ broker }) => broker.fetch(request, signal), { signal })
  }

  readAt(at: PartitionOffset, signal?: AbortSignal): Promise<FoundRecord | undefined> {
    return this.#call(({ broker }) => broker.readAt(at, signal), { signal })
  }

  watch(of: TopicPartition, onChange: () => void): () => void {
    const end = this.#holding?.broker.watch(of, onChange) ?? nothing
    const watch: Watch = { of, onChange, end }
    this.#watches.add(watch)
    return () => {
      this.#watches.delete(watch)
      watch.end()
    }
  }

  watchHolder(onChange: () => void): () => void {
    this.#holderWatchers.add(onChange)
    return () => {
      this.#holderWatchers.delete(onChange)
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  #call<T>(run: (holding: Holding) => Promise<T>, options: AskOptions = {}): Promise<T> {
    const { signal } = options
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (signal?.aborted === true) return Promise.reject(asError(signal.reason))
    return new Promise<T>((resolve, reject) => {
      const abort = (): void => call.fail(asError(signal?.reason))
      const leave = (): void => {
        this.#calls.delete(call)
        call.deadline?.cancel()
        signal?.removeEventListener('abort', abort)
      }
      const fail = (error: Error): void => {
        leave()
        reject(error)
      }
      const succeed = (value: T): void => {
        leave()
        resolve(value)
      }
      const send = (holding: Holding): void => {
        run(holding).then(succeed, (error: unknown) => {
          if (error instanceof ConnectionLost) this.#lostWith(call, holding)
          else fail(asError(error))
        })
      }
      const call: Call = { options, send, fail, sentTo: undefined, deadline: undefined }
      signal?.addEventListener('abort', abort, { once: true })
      this.#calls.add(call)
      if (this.#holding === undefined) this.#wait(call)
      else this.#send(call, this.#holding)
    })
  }

  #send(call: Call, holding: Holding): void {
    call.deadline?.cancel()
    call.deadline = undefined
    const { scope } = call.options
    if (scope !== undefined && !entersSession(scope, holding.broker)) {
      call.fail(transactionLost(scope.transactionalId))
      return
    }
    call.sentTo = holding
    call.send(holding)
  }

  /** Nobody knows whether the holder that is gone did it. */
  #lostWith(call: Call, holding: Holding): void {
    if (!this.#calls.has(call) || call.sentTo !== holding) return
    call.sentTo = undefined
    // A call may learn of it before anybody else.
    this.#lose(holding)
    const { scope, isOnce = false } = call.options
    if (scope !== undefined) call.fail(transactionLost(scope.transactionalId))
    else if (isOnce) call.fail(this.#unreachable(0))
    else if (this.#holding === undefined) this.#wait(call)
    else this.#send(call, this.#holding)
  }

  #wait(call: Call): void {
    const { clock, limits } = this.#options
    const waitedMs = limits.holderDeadlineMs
    call.deadline = clock.timer(waitedMs, () => call.fail(this.#unreachable(waitedMs)))
  }

  #unreachable(waitedMs: number): Error {
    return logUnreachable(this.#options.folder.path, { waitedMs, holderPid: this.#holderPid })
  }

  #begin(holding: Holding): void {
    this.#holding = holding
    this.#last = holding.broker
    this.#holderPid = holding.pid
    holding.onLost(() => this.#lose(holding))
    for (const watch of this.#watches) watch.end = holding.broker.watch(watch.of, watch.onChange)
    for (const call of this.#calls) if (call.sentTo === undefined) this.#send(call, holding)
    // What happened meanwhile was told to nobody.
    for (const watch of this.#watches) watch.onChange()
    for (const run of this.#holderWatchers) run()
  }

  #lose(holding: Holding): void {
    if (this.#holding !== holding || this.#closing.signal.aborted) return
    this.#holding = undefined
    this.#search = this.#find()
  }

  /** Never rejects: where no holder can be, every call says why. */
  async #find(): Promise<void> {
    const { signal } = this.#closing
    try {
      const holding = await findHolder(this.#options, { isFirst: false, signal })
      if (signal.aborted) await holding[Symbol.asyncDispose]()
      else this.#begin(holding)
    } catch (error) {
      if (!signal.aborted) this.#fail(asError(error))
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error
    for (const call of this.#calls) call.fail(this.#failure)
  }

  async #close(): Promise<void> {
    const closed = logClosed(`embedded log in ${this.#options.folder.path}`)
    this.#closing.abort(closed)
    this.#fail(closed)
    await this.#search
    await this.#holding?.[Symbol.asyncDispose]()
    this.#holding = undefined
  }
}

function nothing(): void {
  // Nobody is watched while nobody holds the log.
}
