/**
 * Says that a process stands still while it does. What runs on the event loop cannot: it has its turn
 * when the standstill is over, and by then a group may have put the process out. So a thread of its
 * own waits for beats of the loop, and writes a line where none comes, by itself, to standard error:
 * its streams, too, would pass through the loop.
 *
 * A process that was halted as a whole (SIGSTOP, a machine that slept) halts its threads as well. The
 * first beat after that comes at once, which is why the thread waits GRACE_MS more before it speaks.
 *
 * The thread takes some 10 MB of memory, and time only while it says something.
 */
import { Worker } from 'node:worker_threads'
import type { Clock, LoopWatched } from '../model/clock.ts'
import { asError } from '../model/errors.ts'

/** Beats within the time after which it is told: a standstill may have begun so much of it later than the last. */
const BEATS = 4
/** What a loop has for its first beat after its whole process was halted. */
const GRACE_MS = 250
/** The count of beats when nobody watches any more. */
const OVER = -1
/** Megabytes: the thread makes no objects to speak of. */
const SMALL = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 8, stackSizeMb: 1 } as const

/** What a watch needs of its process. */
export interface WatchedWith {
  /** What is written, with its end. */
  readonly line: string
  readonly clock: Pick<Clock, 'timer'>
  readonly graceMs?: number
}

/** What the thread is given. */
interface Guarded {
  readonly shared: SharedArrayBuffer
  readonly over: number
  readonly afterMs: number
  readonly graceMs: number
  readonly line: string
}

/** Watches this process's event loop until it is disposed. */
export function watchLoop(
  { afterMs, onFailed }: Omit<LoopWatched, 'message'>,
  { line, clock, graceMs = GRACE_MS }: WatchedWith,
): Disposable {
  const shared = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)
  const beats = new Int32Array(shared)
  const guarded: Guarded = { shared, over: OVER, afterMs, graceMs, line }
  try {
    // Nothing of this process's start belongs into the thread: neither its loaders nor its profiler.
    const thread = new Worker(`(${standGuard.toString()})()`, {
      eval: true,
      workerData: guarded,
      resourceLimits: SMALL,
      env: {},
      execArgv: [],
    })
    thread.once('error', (error) => onFailed(asError(error)))
    thread.unref()
  } catch (error) {
    onFailed(asError(error))
  }
  let next = clock.timer(afterMs / BEATS, beat)
  function beat(): void {
    Atomics.add(beats, 0, 1)
    Atomics.notify(beats, 0)
    next = clock.timer(afterMs / BEATS, beat)
  }
  return {
    [Symbol.dispose]: () => {
      next.cancel()
      Atomics.store(beats, 0, OVER)
      Atomics.notify(beats, 0)
    },
  }
}

/** The thread's whole program: its text is all that reaches the thread, so it names nothing of this file. */
function standGuard(): void {
  const { writeSync } = process.getBuiltinModule('node:fs')
  const thread = process.getBuiltinModule('node:worker_threads')
  const { shared, over, afterMs, graceMs, line } = thread.workerData as Guarded
  const beats = new Int32Array(shared)
  for (;;) {
    const seen = Atomics.load(beats, 0)
    if (seen === over) return
    if (Atomics.wait(beats, 0, seen, afterMs) !== 'timed-out') continue
    if (Atomics.wait(beats, 0, seen, graceMs) !== 'timed-out') continue
    try {
      writeSync(2, line)
    } catch {
      // Nobody reads standard error, or it is full: there is nobody to tell.
    }
    Atomics.wait(beats, 0, seen)
  }
}
