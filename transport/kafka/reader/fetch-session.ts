/**
 * An incremental fetch session (KIP-227) of one reader with one broker: the broker remembers which
 * partitions are asked for and where, and a request names only what changed. Of a hundred partitions
 * that are caught up nothing crosses the wire.
 *
 * Both sides count the requests of a session. A request that got no answer may have counted or not,
 * and a broker may forget a session to make room: either way `reset` begins anew, with a request that
 * names everything. A broker without room answers with session 0, and every request names everything
 * until it has some.
 */
import type { FetchPartition, FetchRequest, FetchTopic, ForgottenTopic } from '../api/fetch.ts'

/** A partition as it is asked for. */
export interface AskedPartition extends FetchPartition {
  readonly topic: string
  readonly topicId: string
}

/** What of a request the session decides. */
export type SessionRequest = Pick<
  FetchRequest,
  'sessionId' | 'sessionEpoch' | 'topics' | 'forgotten'
>

const LAST_EPOCH = 0x7fffffff

/** A request outside of any session. */
export function sessionless(asked: readonly AskedPartition[]): SessionRequest {
  return { sessionId: 0, sessionEpoch: -1, topics: byTopic(asked), forgotten: [] }
}

/** The reader's side of a session. */
export class FetchSession {
  #id = 0
  /** Of the next request; 0 begins a session. */
  #epoch = 0
  /** What the broker remembers. */
  #known = new Map<string, AskedPartition>()

  /** The next request, for exactly these partitions. It must be sent, or `reset` called. */
  next(asked: readonly AskedPartition[]): SessionRequest {
    const known = new Map(asked.map((one) => [nameOf(one), one]))
    const before = this.#known
    this.#known = known
    const session = { sessionId: this.#id, sessionEpoch: this.#epoch }
    if (this.#epoch === 0) return { ...session, topics: byTopic(asked), forgotten: [] }
    const changed = asked.filter((one) => !isSame(before.get(nameOf(one)), one))
    const gone = [...before].filter(([name]) => !known.has(name)).map(([, one]) => one)
    const forgotten: readonly ForgottenTopic[] = byTopic(gone).map((of) => ({
      ...of,
      partitions: of.partitions.map(({ partition }) => partition),
    }))
    return { ...session, topics: byTopic(changed), forgotten }
  }

  /**
   * Whether the broker remembers this partition, wherever it was asked from: then it leaves it out of
   * its answers until there is news, and who never heard of it hears nothing.
   */
  remembers(asked: AskedPartition): boolean {
    return this.#epoch !== 0 && this.#known.has(nameOf(asked))
  }

  /** The request was answered, without an error of the session: `sessionId` is what the answer names. */
  answered(sessionId: number): void {
    if (sessionId === 0) {
      this.#id = 0
      this.#epoch = 0
      return
    }
    this.#id = sessionId
    this.#epoch = this.#epoch === LAST_EPOCH ? 1 : this.#epoch + 1
  }

  /** Begins anew. The broker closes what it may still have of the old session, where it knows it. */
  reset({ isUnknown = false }: { readonly isUnknown?: boolean } = {}): void {
    if (isUnknown) this.#id = 0
    this.#epoch = 0
    this.#known = new Map()
  }
}

function nameOf({ topicId, partition }: AskedPartition): string {
  return `${topicId}/${partition}`
}

function isSame(a: AskedPartition | undefined, b: AskedPartition): boolean {
  return (
    a !== undefined &&
    a.offset === b.offset &&
    a.maxBytes === b.maxBytes &&
    a.currentLeaderEpoch === b.currentLeaderEpoch &&
    a.lastFetchedEpoch === b.lastFetchedEpoch
  )
}

/** In the order in which they are asked: it is the order in which the broker fills its answer. */
function byTopic(asked: readonly AskedPartition[]): readonly (FetchTopic & {
  readonly partitions: readonly AskedPartition[]
})[] {
  const topics: { topic: string; topicId: string; partitions: AskedPartition[] }[] = []
  for (const one of asked) {
    const last = topics.at(-1)
    if (last?.topicId === one.topicId) last.partitions.push(one)
    else topics.push({ topic: one.topic, topicId: one.topicId, partitions: [one] })
  }
  return topics
}
