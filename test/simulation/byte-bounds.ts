/**
 * The bounds on bytes, looked at between any two events of a world: what readers fetched ahead, and
 * what outputs hold back while a commit is on its way. Readers are watched through the port, outputs
 * through a step that is put in front of each commit round.
 */
import type { CommitStep } from '../../runtime/commit.ts'
import { replaced } from './replaced.ts'
import type { Cursor, Reader, ReaderOptions, Transport } from '../../transport/transport.ts'

interface WatchedReader {
  readonly reader: Reader
  readonly prefetchBytes: number
  readonly cursors: Set<Cursor>
}

interface WatchedOutputs {
  readonly heldBytes: () => number
  readonly limitBytes: number
}

/** The loop looks after each record whether its outputs are full: what one record or one schedule makes may come on top. */
const LARGEST_STEP_BYTES = 8_192

/** Watches one process. */
export class ByteBounds {
  readonly #largestBatchBytes: () => number
  readonly #readers = new Set<WatchedReader>()
  readonly #outputs = new Map<object, WatchedOutputs>()

  constructor(largestBatchBytes: () => number) {
    this.#largestBatchBytes = largestBatchBytes
  }

  /** What is beyond its bound now; undefined where nothing is. */
  look(): string | undefined {
    for (const { reader, prefetchBytes, cursors } of this.#readers) {
      const excess = reader.bufferedBytes - prefetchBytes
      if (excess > 0 && excess > cursors.size * this.#largestBatchBytes()) {
        return `${reader.bufferedBytes} bytes are fetched ahead of ${cursors.size} partitions, with a budget of ${prefetchBytes}`
      }
    }
    for (const { heldBytes, limitBytes } of this.#outputs.values()) {
      if (heldBytes() > limitBytes + LARGEST_STEP_BYTES) {
        return `${heldBytes()} bytes of outputs are held back, with a bound of ${limitBytes}`
      }
    }
    return undefined
  }

  /** The transport with its readers watched. */
  watch(transport: Transport): Transport {
    return replaced(transport, {
      openReader: (options) => this.#watched(transport.openReader(options), options),
    })
  }

  /** The steps of a commit with the outputs watched from their first round on. */
  watchSteps(steps: readonly CommitStep[], limitBytes: number): readonly CommitStep[] {
    const look: CommitStep = {
      name: 'look',
      run: ({ outputs, producer }) => {
        const heldBytes = () => outputs.bufferedBytes - producer.bufferedBytes
        this.#outputs.set(outputs, { heldBytes, limitBytes })
      },
    }
    return [look, ...steps]
  }

  #watched(reader: Reader, { prefetchBytes }: ReaderOptions): Reader {
    const watched: WatchedReader = { reader, prefetchBytes, cursors: new Set() }
    this.#readers.add(watched)
    return replaced(reader, {
      open: (at) => {
        const cursor = reader.open(at)
        watched.cursors.add(cursor)
        const close = (): void => {
          watched.cursors.delete(cursor)
          cursor.close()
        }
        return replaced(cursor, { close })
      },
      [Symbol.asyncDispose]: async () => {
        this.#readers.delete(watched)
        await reader[Symbol.asyncDispose]()
      },
    })
  }
}
