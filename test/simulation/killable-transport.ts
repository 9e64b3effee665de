/**
 * A transport as one simulated process holds it: when the process is killed, nothing it asked for is
 * ever answered, and nothing it made is closed. What had reached the log stays there, as after a
 * real kill -9.
 */
import type { ProcessClock } from '../../testing/simulated-clock.ts'
import type { Cursor, Producer, Reader, Transport } from '../../transport/transport.ts'

/** `log` as the process of `clock` sees it. */
export function killable(log: Transport, clock: ProcessClock): Transport {
  const answer = <T>(promise: Promise<T>): Promise<T> =>
    new Promise((resolve, reject) => {
      promise.then(
        (value) => {
          if (!clock.isDead) resolve(value)
        },
        (error: unknown) => {
          if (!clock.isDead) reject(error instanceof Error ? error : new Error(String(error)))
        },
      )
    })
  const { admin } = log
  return {
    admin: {
      describeTopics: (topics) => answer(admin.describeTopics(topics)),
      createTopics: (topics) => answer(admin.createTopics(topics)),
      deleteTopics: (topics) => answer(admin.deleteTopics(topics)),
      offsets: (partitions, end, isolation) => answer(admin.offsets(partitions, end, isolation)),
      committedOffsets: (group, partitions) => answer(admin.committedOffsets(group, partitions)),
      commitOffsets: (group, offsets) => answer(admin.commitOffsets(group, offsets)),
    },
    openReader: (options) => killableReader(log.openReader(options), answer),
    openProducer: (options) => killableProducer(log.openProducer(options), answer),
    [Symbol.asyncDispose]: async () => {},
  }
}

type Answer = <T>(promise: Promise<T>) => Promise<T>

function killableReader(reader: Reader, answer: Answer): Reader {
  return {
    open: (at): Cursor => reader.open(at),
    get bufferedBytes() {
      return reader.bufferedBytes
    },
    ready: (signal) => answer(reader.ready(signal)),
    readAt: (at, signal) => answer(reader.readAt(at, signal)),
    [Symbol.asyncDispose]: () => answer(Promise.resolve(reader[Symbol.asyncDispose]())),
  }
}

function killableProducer(producer: Producer, answer: Answer): Producer {
  return {
    init: () => answer(producer.init()),
    send: (record) => producer.send(record),
    get bufferedBytes() {
      return producer.bufferedBytes
    },
    flush: () => answer(producer.flush()),
    sendOffsets: (offsets, group) => answer(producer.sendOffsets(offsets, group)),
    commit: () => answer(producer.commit()),
    abort: () => answer(producer.abort()),
    [Symbol.asyncDispose]: () => answer(Promise.resolve(producer[Symbol.asyncDispose]())),
  }
}
