/**
 * What a member tells the one that assigns, and what it is told, as bytes: Kafka's
 * ConsumerProtocolSubscription and ConsumerProtocolAssignment, version 2, so that Kafka's tools read
 * them. Before the assignor's own data stands one byte of the cooperative protocol.
 */
import { asPartition, asTopic, type Topic, type TopicPartition } from '../model/position.ts'
import type { DescribedMember } from './group-requests.ts'
import type { GroupMemberDescription } from './membership.ts'

const VERSION = 2
/** The bit of an assignment that tells its member to join again. */
const JOIN_AGAIN = 1

/** What a member tells the one that assigns. */
export interface Subscription {
  readonly topics: readonly Topic[]
  readonly userData: Buffer
  readonly owned: readonly TopicPartition[]
  /** Of the assignment that `owned` is from; -1 for none. */
  readonly generation: number
}

/** What a member is told. */
export interface Share {
  readonly partitions: readonly TopicPartition[]
  readonly userData: Buffer
  /** Others wait for something that this member had before: it takes its share and joins again. */
  readonly mustJoinAgain: boolean
}

export function encodeSubscription(subscription: Subscription): Buffer {
  const { topics, userData, owned, generation } = subscription
  return Buffer.concat([
    int16(VERSION),
    int32(topics.length),
    ...topics.map(textBytes),
    int32(userData.length),
    userData,
    partitionBytes(owned),
    int32(generation),
  ])
}

/** Throws a RangeError where the bytes are no subscription. */
export function decodeSubscription(bytes: Buffer): Subscription {
  const from = new Reading(bytes)
  from.version()
  const topics = from.list(() => asTopic(from.text()))
  const userData = from.bytes()
  return { topics, userData, owned: from.partitions(), generation: from.int32() }
}

export function encodeShare({ partitions, userData, mustJoinAgain }: Share): Buffer {
  return Buffer.concat([
    int16(VERSION),
    partitionBytes(partitions),
    int32(1 + userData.length),
    Buffer.of(mustJoinAgain ? JOIN_AGAIN : 0),
    userData,
  ])
}

/** Throws a RangeError where the bytes are no share. An empty buffer is an empty share. */
export function decodeShare(bytes: Buffer): Share {
  if (bytes.length === 0) {
    return { partitions: [], userData: Buffer.alloc(0), mustJoinAgain: false }
  }
  const from = new Reading(bytes)
  from.version()
  const partitions = from.partitions()
  const data = from.bytes()
  const mustJoinAgain = (data.readUInt8(0) & JOIN_AGAIN) !== 0
  return { partitions, userData: data.subarray(1), mustJoinAgain }
}

/** Members beside their group, with their shares read. */
export function describeMembers(members: readonly DescribedMember[]): GroupMemberDescription[] {
  return members.map(({ assignment, ...member }) => {
    const { partitions } = decodeShare(assignment)
    return { ...member, partitions }
  })
}

function partitionBytes(partitions: readonly TopicPartition[]): Buffer {
  const byTopic = Map.groupBy(partitions, ({ topic }) => topic)
  const parts = [...byTopic].flatMap(([topic, those]) => [
    textBytes(topic),
    int32(those.length),
    ...those.map(({ partition }) => int32(partition)),
  ])
  return Buffer.concat([int32(byTopic.size), ...parts])
}

function textBytes(text: string): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([int16(bytes.length), bytes])
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

/** Reads on from where the last read ended. */
class Reading {
  readonly #from: Buffer
  #position = 0

  constructor(from: Buffer) {
    this.#from = from
  }

  version(): void {
    const version = this.#from.readInt16BE(0)
    if (version < VERSION) throw new RangeError(`group data of version ${version}`)
    this.#position = 2
  }

  int32(): number {
    const value = this.#from.readInt32BE(this.#position)
    this.#position += 4
    return value
  }

  text(): string {
    const length = this.#from.readInt16BE(this.#position)
    this.#position += 2
    return this.#take(length).toString()
  }

  bytes(): Buffer {
    return this.#take(this.int32())
  }

  list<T>(read: () => T): T[] {
    const length = this.int32()
    // A damaged length must not become an array of a billion places.
    if (length > this.#from.length) throw new RangeError(`a list of ${length} in group data`)
    return Array.from({ length: Math.max(0, length) }, read)
  }

  partitions(): TopicPartition[] {
    return this.list(() => {
      const topic = asTopic(this.text())
      return this.list(() => ({ topic, partition: asPartition(this.int32()) }))
    }).flat()
  }

  #take(length: number): Buffer {
    const end = this.#position + Math.max(0, length)
    if (end > this.#from.length) throw new RangeError('group data ends early')
    const taken = this.#from.subarray(this.#position, end)
    this.#position = end
    return taken
  }
}
