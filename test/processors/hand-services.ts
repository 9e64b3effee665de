/** Services that answer when the test says so. */
import { text } from '../../serdes/primitives.ts'
import type {
  ClassifyFailure,
  EnrichAttempt,
  EnrichSession,
  FunctionEnricher,
  SessionEnricher,
} from '../../processors/enricher.ts'
import type { StreamRecord } from '../../model/record.ts'

/** One call that waits for its answer. */
export interface Call extends EnrichAttempt {
  readonly value: string
  /** Answers with the value in upper case where none is given. */
  answer(result?: string): void
  fail(error: Error): void
}

/** A service that is called. */
export class HandService {
  /** All calls, in the order they came. */
  readonly calls: Call[] = []
  /** Those without an answer yet. */
  readonly open = new Set<Call>()
  readonly enricher: FunctionEnricher<string, string, string>

  constructor(classify?: ClassifyFailure) {
    this.enricher = {
      kind: 'function',
      value: text,
      call: async (record, attempt) => await this.#call(record, attempt),
      ...(classify === undefined ? {} : { classify }),
    }
  }

  /** The values of the calls without an answer. */
  get waiting(): readonly string[] {
    return [...this.open].map(({ value }) => value)
  }

  /** The call that waits for the answer for this value. */
  waitingFor(value: string): Call {
    for (const call of this.open) if (call.value === value) return call
    throw new Error(`${value} was not called; ${this.waiting.join()} are`)
  }

  /** Answers every call that waits. */
  answerAll(): void {
    for (const call of this.open) call.answer()
  }

  async #call({ value }: StreamRecord<string, string>, attempt: EnrichAttempt): Promise<string> {
    const result = Promise.withResolvers<string>()
    const call: Call = {
      ...attempt,
      value,
      answer: (answer = value.toUpperCase()) => result.resolve(answer),
      fail: (error) => result.reject(error),
    }
    this.calls.push(call)
    this.open.add(call)
    const forget = (): void => void this.open.delete(call)
    attempt.signal.addEventListener('abort', forget, { once: true })
    return await result.promise.finally(forget)
  }
}

/** A record that a session was given. */
export interface Pushed {
  readonly value: string
  /** Says that the transport has taken the bytes. Sessions do so by themselves unless told otherwise. */
  take(): void
  answer(result?: string): void
  fail(error: Error): void
}

/** One stream of the service. Values that end in `!` are last. */
export class HandSession implements EnrichSession<string, string, string> {
  readonly key: string
  readonly attempt: number
  readonly pushed: Pushed[] = []
  isEnded = false
  aborted: Error | undefined
  readonly #takesAtOnce: boolean
  readonly #end = Promise.withResolvers<void>()

  constructor(key: string, attempt: number, takesAtOnce: boolean) {
    this.key = key
    this.attempt = attempt
    this.#takesAtOnce = takesAtOnce
  }

  get values(): readonly string[] {
    return this.pushed.map(({ value }) => value)
  }

  push({ value }: StreamRecord<string, string>): { taken: Promise<void>; result: Promise<string> } {
    const taken = Promise.withResolvers<void>()
    const result = Promise.withResolvers<string>()
    if (this.#takesAtOnce) taken.resolve()
    this.pushed.push({
      value,
      take: () => taken.resolve(),
      answer: (answer = `${value.toUpperCase()}`) => result.resolve(answer),
      fail: (error) => result.reject(error),
    })
    return { taken: taken.promise, result: result.promise }
  }

  async end(): Promise<void> {
    this.isEnded = true
    await this.#end.promise
  }

  /** Says that all was answered. */
  finish(): void {
    this.#end.resolve()
  }

  abort(reason: Error): void {
    this.aborted = reason
  }

  /** Answers what was pushed under this value. */
  answer(value: string, result?: string): void {
    const pushed = this.pushed.find((candidate) => candidate.value === value)
    if (pushed === undefined) throw new Error(`${value} was not pushed; ${this.values.join()} were`)
    pushed.answer(result)
  }

  /** Answers all and ends. */
  complete(): void {
    for (const pushed of this.pushed) pushed.answer()
    this.finish()
  }
}

/** A service that streams. */
export class HandSessions {
  readonly all: HandSession[] = []
  readonly enricher: SessionEnricher<string, string, string>

  constructor(
    options: { readonly takesAtOnce?: boolean; readonly classify?: ClassifyFailure } = {},
  ) {
    const { takesAtOnce = true, classify } = options
    this.enricher = {
      kind: 'session',
      value: text,
      isLast: ({ value }) => value.endsWith('!'),
      open: async ({ sessionKey, attempt }) => {
        const session = new HandSession(sessionKey, attempt, takesAtOnce)
        this.all.push(session)
        return session
      },
      ...(classify === undefined ? {} : { classify }),
    }
  }

  /** The keys of all sessions, in the order they were opened. */
  get keys(): readonly string[] {
    return this.all.map(({ key }) => key)
  }

  get last(): HandSession {
    const session = this.all.at(-1)
    if (session === undefined) throw new Error('no session was opened')
    return session
  }
}
