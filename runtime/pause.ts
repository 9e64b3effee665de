/**
 * A pause of an app, as Kafka Streams' KafkaStreams.pause(): no record is processed, no answer taken
 * in and no step called at its time; what is done is still committed, and a member of a group stays
 * one. It is this process's alone, and forgotten when the process ends.
 */
export class Pause {
  readonly #onResume = new Set<() => void>()
  #isOn = false

  get isOn(): boolean {
    return this.#isOn
  }

  /** Whether that is a change. */
  begin(): boolean {
    const isNew = !this.#isOn
    this.#isOn = true
    return isNew
  }

  /** Whether that is a change. */
  end(): boolean {
    const isNew = this.#isOn
    this.#isOn = false
    if (isNew) for (const run of this.#onResume) run()
    return isNew
  }

  /** Calls `run` at the end of each pause, until it is disposed. */
  onResume(run: () => void): Disposable {
    this.#onResume.add(run)
    return { [Symbol.dispose]: () => void this.#onResume.delete(run) }
  }
}
