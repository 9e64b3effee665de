/**
 * How the record loop sleeps: it waits here when there is nothing to do, and whatever may give it
 * work (a batch, an answer, a commit that ended, a timer) rings. A ring while nobody waits is kept,
 * so that work which arrives between the last look and the wait is never slept through.
 */
export class Wakeup {
  #rung = false
  #resolve: (() => void) | undefined

  /** Ends the present wait, or the next one before it begins. */
  ring(): void {
    this.#rung = true
    this.#resolve?.()
  }

  /** Resolves at the next ring; at once where one came since the last wait. */
  async wait(): Promise<void> {
    if (!this.#rung) {
      await new Promise<void>((resolve) => {
        this.#resolve = resolve
      })
      this.#resolve = undefined
    }
    this.#rung = false
  }
}
