/**
 * What a pair of request and response is: plain data on one side, Kafka's wire on the other. One file
 * a pair, one encoder and one decoder for all the versions it names. Layouts are those of Kafka's
 * message definitions (clients/src/main/resources/common/message).
 */
import type { WireReader } from '../wire/reader.ts'
import type { WireWriter } from '../wire/writer.ts'

/** One pair of request and response. */
export interface Api<Request, Response> {
  /** Kafka's number of the request. */
  readonly key: number
  readonly name: string
  /** The lowest and the highest version that encode and decode know. */
  readonly versions: readonly [min: number, max: number]
  /** From this version on lengths are compact and there are tagged fields. */
  readonly flexibleFrom: number
  encode(to: WireWriter, request: Request, version: number): void
  /** Throws a RangeError where the bytes are no such response. */
  decode(from: WireReader, version: number): Response
}

/** Things by topic, as most requests and responses have them. */
export interface OfTopic<Partition> {
  readonly topic: string
  readonly partitions: readonly Partition[]
}

/** Groups by topic what stands by partition; the order within a topic stays. */
export function byTopic<T extends { readonly topic: string }>(items: readonly T[]): OfTopic<T>[] {
  const topics = Map.groupBy(items, ({ topic }) => topic)
  return [...topics].map(([topic, partitions]) => ({ topic, partitions }))
}

/** Writes a list of topics, each with its partitions, and the ends of both structures. */
export function writeTopics<T>(
  to: WireWriter,
  topics: readonly OfTopic<T>[],
  partition: (of: T) => void,
): void {
  to.array(topics, ({ topic, partitions }) => {
    to.string(topic)
    to.array(partitions, (of) => {
      partition(of)
      to.tags()
    })
    to.tags()
  })
}

/** Reads a list of topics, each with its partitions, flat; `partition` reads up to its tagged fields. */
export function readTopics<T>(from: WireReader, partition: (topic: string) => T): readonly T[] {
  return from
    .array(() => {
      const topic = from.string()
      const partitions = from.array(() => {
        const read = partition(topic)
        from.tags()
        return read
      })
      from.tags()
      return partitions
    })
    .flat()
}
