/**
 * How a stream ends: once, well or with one error. Transports report one failure several times and
 * in several places (an event, a callback, a second event for the write that came after), so what
 * counts is the first report; a write that is under way when it comes rejects with it too.
 */
export class StreamOutcome {
  /** Resolves when the stream ended well, rejects with its error; either when the cleaning up is over. */
  readonly done: Promise<void>
  #state: OutcomeState = { kind: 'open' }
  #resolve: () => void = () => {}
  #reject: (error: Error) => void = () => {}
  /** Rejects the step that is under way. */
  #interrupt: ((error: Error) => void) | undefined

  /** `cleanUp` runs once, when the stream has ended or failed. It must not reject. */
  constructor(cleanUp: () => Promise<void> | void = () => {}) {
    const settled = new Promise<void>((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.done = afterwards(settled, cleanUp)
    // Whoever writes learns of the failure from the write; nobody has to watch `done` as well.
    this.done.catch(() => {})
  }

  /** Whether the stream has neither ended nor failed. */
  get open(): boolean {
    return this.#state.kind === 'open'
  }

  /** Ends the stream well, if it is open. */
  succeed(): void {
    if (!this.open) return
    this.#state = { kind: 'ended' }
    this.#resolve()
  }

  /** Ends the stream with `error`, if it is open. Says whether it was. */
  fail(error: Error): boolean {
    if (!this.open) return false
    this.#state = { kind: 'failed', error }
    this.#interrupt?.(error)
    this.#reject(error)
    return true
  }

  /** Throws the stream's error, if it has failed. */
  throwIfFailed(): void {
    if (this.#state.kind === 'failed') throw this.#state.error
  }

  /** Waits for one step of the stream; rejects as soon as the stream fails, whether or not the step ever ends. */
  async step(begin: (resolve: () => void) => void): Promise<void> {
    this.throwIfFailed()
    if (!this.open) throw new TypeError('a write after the end of the stream')
    if (this.#interrupt !== undefined) throw new TypeError('a write before the last one was taken')
    try {
      await new Promise<void>((resolve, reject) => {
        this.#interrupt = reject
        begin(resolve)
      })
    } finally {
      this.#interrupt = undefined
    }
  }
}

async function afterwards(
  settled: Promise<void>,
  cleanUp: () => Promise<void> | void,
): Promise<void> {
  try {
    await settled
  } finally {
    await cleanUp()
  }
}

type OutcomeState =
  | { readonly kind: 'open' }
  | { readonly kind: 'ended' }
  | { readonly kind: 'failed'; readonly error: Error }
