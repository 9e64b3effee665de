/** A streaming service: it answers a part when the next one has come, or at the end; like a shot, it is known only when it is over. */
import { sleep } from '../../model/clock.ts'
import type { EnrichSession, PushedRecord, SessionEnricher } from '../../processors/enricher.ts'
import { json } from '../../serdes/json.ts'
import type { ScenarioServices } from './scenario.ts'

/** One part of a group, like a chunk of a video. */
export interface Part {
  readonly group: string
  readonly index: number
  readonly last: boolean
  readonly size: number
}

/** What a session says of a part: the sizes of the group up to it, so that a lost or doubled push shows. */
export interface Sum {
  readonly group: string
  readonly index: number
  readonly sum: number
}

/** The service as an enricher. */
export function summer(services: ScenarioServices): SessionEnricher<string, Part, Sum> {
  const { clock, random, areServicesBad, areAnswersLate } = services
  /** Of a service that mixes its sessions up: what earlier ones did not answer, by key. */
  const unanswered = new Map<string, Sum[]>()
  return {
    kind: 'session',
    value: json<Sum>(),
    isLast: ({ value }) => value.last,
    open: async ({ sessionKey, signal }) => {
      await sleep(clock, areServicesBad ? random.below(20) : 1, signal)
      const late = unanswered.get(sessionKey) ?? []
      unanswered.set(sessionKey, late)
      return new SumSession(services, areAnswersLate ? late : undefined)
    },
  }
}

class SumSession implements EnrichSession<string, Part, Sum> {
  readonly #services: ScenarioServices
  /** Answers of earlier sessions, where they are mixed up with this one's. */
  readonly #late: Sum[] | undefined
  #sum = 0
  #next = 0
  #waiting: (() => void) | undefined
  #last: Promise<unknown> = Promise.resolve()
  #unanswered: Sum[] = []

  constructor(services: ScenarioServices, late: Sum[] | undefined) {
    this.#services = services
    this.#late = late
  }

  push({ value }: { readonly value: Part }): PushedRecord<Sum> {
    const { clock, random, areServicesBad } = this.#services
    const result = Promise.withResolvers<Sum>()
    this.#last = result.promise
    result.promise.catch(() => {})
    if (value.index !== this.#next) {
      result.reject(new Error(`part ${value.index} came where ${this.#next} was due`))
    }
    this.#next += 1
    this.#sum += value.size
    const answer = { group: value.group, index: value.index, sum: this.#sum }
    this.#unanswered.push(answer)
    this.#waiting?.()
    const delayMs = areServicesBad ? random.below(30) : 1
    const fails = areServicesBad && random.chance(0.03)
    this.#waiting = () => {
      clock.timer(delayMs, () => {
        this.#unanswered = this.#unanswered.filter((other) => other !== answer)
        if (fails) result.reject(new Error('the stream broke'))
        else result.resolve(this.#late?.shift() ?? answer)
      })
    }
    const taken = sleep(clock, areServicesBad ? random.below(10) : 1)
    return { taken, result: result.promise }
  }

  async end(): Promise<void> {
    this.#waiting?.()
    await this.#last
  }

  abort(): void {
    this.#waiting = undefined
    this.#late?.push(...this.#unanswered)
  }
}
