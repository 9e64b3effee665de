/** Parts of a user's own, held against their contracts by what users can import, and by nothing else. */
import {
  AnnotatorError,
  memoryRegistry,
  SerdeError,
  type AnnotationProgress,
  type AnnotationStream,
  type Annotator,
  type Database,
  type DatabaseWrite,
  type KeyRange,
  type OpenSerde,
  type Serde,
  type Shot,
  type VideoStart,
} from 'millrace'
import {
  annotatorConformance,
  databaseConformance,
  registryConformance,
  serdeConformance,
} from 'millrace/testing'
import { describe, test } from 'vitest'

const hexSerde: OpenSerde<string> = {
  prefix: Buffer.alloc(0),
  serialize: (value) => {
    if (!/^(?:[0-9a-f]{2})*$/.test(value))
      throw new SerdeError('MILLRACE_SERIALIZATION', `${value} is not hexadecimal`)
    return Buffer.from(value, 'hex')
  },
  deserialize: (buffer, start, end) => buffer.toString('hex', start, end),
}
const hex: Serde<string> = { name: 'hex', open: async () => hexSerde }

describe('a serde of one’s own', () => {
  serdeConformance({ name: 'hex', serde: hex, samples: ['', '00ff'], refused: ['xy'] }, test)
})

/** A database over a map that outlives it. */
class MapDatabase implements Database {
  readonly rows: Map<string, Buffer>

  constructor(rows: Map<string, Buffer> = new Map()) {
    this.rows = rows
  }

  get(key: Buffer): Buffer | undefined {
    return this.rows.get(key.toString('latin1'))
  }

  async write(writes: readonly DatabaseWrite[]): Promise<void> {
    for (const { key, value } of writes) {
      if (value === null) this.rows.delete(key.toString('latin1'))
      else this.rows.set(key.toString('latin1'), Buffer.from(value))
    }
  }

  range(range: KeyRange): AsyncIterable<readonly [Buffer, Buffer]> {
    return givenOneByOne(this.#rowsOf(range))
  }

  keys(range: KeyRange): AsyncIterable<Buffer> {
    return givenOneByOne(this.#rowsOf(range).map(([key]) => key))
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #rowsOf({ gte, lt }: KeyRange): readonly (readonly [Buffer, Buffer])[] {
    return [...this.rows]
      .map(([key, value]) => [Buffer.from(key, 'latin1'), value] as const)
      .filter(([key]) => gte === undefined || key.compare(gte) >= 0)
      .filter(([key]) => lt === undefined || key.compare(lt) < 0)
      .toSorted(([a], [b]) => a.compare(b))
  }
}

async function* givenOneByOne<T>(items: readonly T[]): AsyncGenerator<T> {
  for (const item of items) yield item
}

describe('a database of one’s own', () => {
  const rowsOf = new WeakMap<Database, Map<string, Buffer>>()
  const open = async (rows?: Map<string, Buffer>): Promise<Database> => {
    const database = new MapDatabase(rows)
    rowsOf.set(database, database.rows)
    return database
  }
  databaseConformance(
    { open: () => open(), reopen: (database) => open(rowsOf.get(database)) },
    test,
  )
})

const SHOT_BYTES = 50_000
const SHOT_US = 1_000_000
const MAGIC = Buffer.from('MOVIE')

/** Finds a shot of a second in every 50,000 bytes of what begins with MOVIE. */
const countingAnnotator: Annotator = {
  name: 'counting',
  open: async (video) => {
    video.signal.throwIfAborted()
    return new CountingStream(video)
  },
}

class CountingStream implements AnnotationStream {
  readonly #video: VideoStart
  readonly #done = Promise.withResolvers<void>()
  #head: Buffer = Buffer.alloc(0)
  #bytes = 0
  #shots = 0
  #failure: Error | undefined
  #isEnded = false

  constructor(video: VideoStart) {
    this.#video = video
    this.#done.promise.catch(() => {})
    video.signal.addEventListener('abort', () => this.abort(video.signal.reason as Error))
  }

  get done(): Promise<void> {
    return this.#done.promise
  }

  async write(bytes: Buffer): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure
    this.#head = Buffer.concat([this.#head, bytes.subarray(0, MAGIC.length - this.#head.length)])
    this.#bytes += bytes.length
    if (!this.#head.equals(MAGIC.subarray(0, this.#head.length))) throw this.#reject()
    const shots: Shot[] = []
    while (this.#bytes >= (this.#shots + 1) * SHOT_BYTES) shots.push(this.#shot(SHOT_US))
    if (shots.length > 0) this.#report({ shots, finalUs: this.#shots * SHOT_US })
  }

  end(): void {
    if (this.#failure !== undefined) return
    if (this.#bytes < MAGIC.length) {
      this.#reject()
      return
    }
    const rest = this.#bytes - this.#shots * SHOT_BYTES
    const lengthUs = Math.floor((rest / SHOT_BYTES) * SHOT_US)
    const shots = lengthUs === 0 ? [] : [this.#shot(lengthUs)]
    this.#report({ shots, finalUs: Number.POSITIVE_INFINITY })
    this.#isEnded = true
    this.#done.resolve()
  }

  abort(reason: Error): void {
    if (this.#isEnded) return
    this.#failure ??= reason
    this.#done.reject(this.#failure)
  }

  #shot(lengthUs: number): Shot {
    const startUs = this.#shots * SHOT_US
    this.#shots += 1
    return { startUs, endUs: startUs + lengthUs - 1 }
  }

  #report(progress: AnnotationProgress): void {
    this.#video.onProgress(progress)
  }

  #reject(): Error {
    this.abort(new AnnotatorError('rejected', `${this.#video.videoId} is no movie`))
    return this.#failure as Error
  }
}

describe('an annotator of one’s own that looks at videos', () => {
  const clip = {
    bytes: Buffer.concat([MAGIC, Buffer.alloc(4 * SHOT_BYTES - MAGIC.length)]),
    shots: Array.from({ length: 4 }, (_, at) => ({
      startUs: at * SHOT_US,
      endUs: (at + 1) * SHOT_US - 1,
    })),
    frameUs: 0,
  }
  annotatorConformance(
    {
      open: async () => ({ annotator: countingAnnotator, [Symbol.asyncDispose]: async () => {} }),
      clip: async () => clip,
      looks: true,
    },
    test,
  )
})

describe('the registry in memory, by its public name', () => {
  registryConformance(
    {
      name: 'memory',
      open: async () => ({
        registry: memoryRegistry(),
        reopen: undefined,
        [Symbol.asyncDispose]: async () => {},
      }),
    },
    test,
  )
})
