/**
 * SHA-256 of bytes that come bit by bit, on this thread or on one of its own. A hash cannot be
 * computed in two places at once, so the one of a whole video is a second of processor time a GiB in
 * one line; on the main thread everything that ingest does else would wait for it.
 *
 * The thread is fed by reference: bytes in shared memory are not copied, and belong to it until
 * `update` resolves. crypto.subtle hashes beside the main thread, too, but only what is there as a
 * whole. The thread's program is a text, because a file of its own would have another name and place
 * in sources, in the built package and in a bundle.
 */
import { createHash } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import type { Clock } from '../model/clock.ts'
import { VideoError } from './video-error.ts'

/** Some SHA-256s, which go on side by side. */
export interface RunningHashes extends AsyncDisposable {
  /** Takes the next bytes of one of them. They may change when this resolves, not before. */
  update(hash: number, bytes: Buffer): Promise<void>
  /** The hash of what was taken, in hexadecimal. Nothing may be added to it after this. */
  digest(hash: number): Promise<string>
}

/**
 * Bytes that are hashed in one go on the main thread, two milliseconds or so. Between them sockets
 * have their turn.
 */
const HASH_TURN_BYTES = 2 ** 20

/** Hashes where it is called: for what is hashed sooner than a thread has started. */
export function hashesHere(count: number, clock: Clock): RunningHashes {
  const hashes = Array.from({ length: count }, () => createHash('sha256'))
  return {
    async update(hash, bytes) {
      for (let at = 0; at < bytes.length; at += HASH_TURN_BYTES) {
        if (at > 0) await clock.yield()
        hashes[hash]?.update(bytes.subarray(at, at + HASH_TURN_BYTES))
      }
    },
    digest: async (hash) => hashes[hash]?.digest('hex') ?? '',
    async [Symbol.asyncDispose]() {},
  }
}

/** What the thread is asked: to take bytes, or without any for the hash. Each question has one answer, in the same order. */
interface Question {
  readonly hash: number
  readonly bytes?: Uint8Array
}

const THREAD = `
const { createHash } = require('node:crypto')
const { parentPort, workerData } = require('node:worker_threads')
const hashes = Array.from({ length: workerData }, () => createHash('sha256'))
parentPort.on('message', ({ hash, bytes }) => {
  if (bytes === undefined) parentPort.postMessage(hashes[hash].digest('hex'))
  else {
    hashes[hash].update(bytes)
    parentPort.postMessage('')
  }
})
`

/** The thread hands objects on and makes nothing: a small heap keeps it at a few MB. */
const THREAD_HEAP_MB = 16

/** Hashes on a thread. Rejects with MILLRACE_HASH_THREAD_ENDED when that ends before it has answered. */
export class HashThread implements RunningHashes {
  readonly #worker: Worker
  readonly #asked: PromiseWithResolvers<string>[] = []
  #ended: VideoError | undefined

  constructor(count: number) {
    this.#worker = new Worker(THREAD, {
      eval: true,
      name: 'sha256',
      workerData: count,
      // What this process was started with is not meant for it: loaders, conditions, profiles.
      execArgv: [],
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: THREAD_HEAP_MB, maxYoungGenerationSizeMb: 2 },
    })
    this.#worker.on('message', (answer: string) => this.#asked.shift()?.resolve(answer))
    this.#worker.on('error', (cause: Error) => this.#end(cause))
    this.#worker.on('exit', () => this.#end())
  }

  async update(hash: number, bytes: Buffer): Promise<void> {
    // A message with memory that is not shared carries all of the memory behind a part of it.
    const shared = bytes.buffer instanceof SharedArrayBuffer
    await this.#ask({ hash, bytes: shared ? bytes : new Uint8Array(bytes) })
  }

  digest(hash: number): Promise<string> {
    return this.#ask({ hash })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate()
  }

  async #ask(question: Question): Promise<string> {
    if (this.#ended !== undefined) throw this.#ended
    const answer = Promise.withResolvers<string>()
    this.#asked.push(answer)
    this.#worker.postMessage(question)
    return await answer.promise
  }

  #end(cause?: Error): void {
    this.#ended ??= new VideoError(
      'MILLRACE_HASH_THREAD_ENDED',
      `The thread that computes the video's SHA-256 ended${cause === undefined ? '' : `: ${cause.message}`}. Ingest the file again: it goes on where it stopped.`,
      { cause },
    )
    for (const { reject } of this.#asked.splice(0)) reject(this.#ended)
  }
}
