/**
 * Doubt about a broker that does not answer. One that is halted, or cut off without a word, keeps its
 * connections open: the deadline of a request, which has to leave time for large batches on slow lines,
 * would hold back what is led or coordinated elsewhere by now.
 */
import type { Clock, Timer } from '../../../model/clock.ts'
import { TransportError } from '../../errors.ts'

/** What is done about doubt. */
export interface Doubt {
  readonly clock: Clock
  /** After how long it begins, and how often it asks. */
  readonly afterMs: number
  /** Whether somebody else is to be asked by now. A rejection counts as no. */
  readonly hasMoved: () => Promise<boolean>
  /** Ends the connection, so that the request is over. */
  readonly abandon: () => void
}

/** Waits for the answer to a request, and gives the broker up where it has nothing to say any more. */
export async function unlessMoved<T>(answer: Promise<T>, doubt: Doubt): Promise<T> {
  const { clock, afterMs, hasMoved, abandon } = doubt
  let timer: Timer | undefined
  let isOver = false
  const ask = async (): Promise<void> => {
    // Nobody can tell: the request has a deadline of its own.
    const isElsewhere = await hasMoved().catch(() => false)
    if (isOver) return
    if (isElsewhere) abandon()
    else arm()
  }
  const arm = (): void => {
    timer = clock.timer(afterMs, () => void ask())
  }
  arm()
  try {
    return await answer
  } finally {
    isOver = true
    timer?.cancel()
  }
}

/** The reason for which a connection is given up. */
export function silentBroker(node: number): TransportError {
  return new TransportError('MILLRACE_KAFKA_TIMED_OUT', 'retriable', {
    message: `Broker ${node} does not answer, and what was asked of it is another one's by now. That one is asked; look at this one's load and at the way to it.`,
    place: `broker ${node}`,
  })
}
