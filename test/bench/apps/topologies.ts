/** The topologies of the comparison with Kafka Streams on the JVM, one by each name of `--topology`. */
import {
  hours,
  int64,
  joinWindows,
  minutes,
  seconds,
  text,
  topology,
  tumbling,
  type Topology,
  type TopologyBuilder,
} from 'millrace'
import { joinAtHead, joinWhole, joinWithBytes } from './flagship-joins.ts'
import { asTheyAre } from './flagship-formats.ts'
import { byteStream, reading } from './byte-sources.ts'

/** What a topology is made of. */
export interface TopologyWish {
  readonly name: string
  readonly in1: string
  readonly in2: string | undefined
  readonly out: string
  /** Of the flagship: the output carries whole chunks, their first bytes, or whole chunks that the store holds, too. */
  readonly joined: 'full' | 'ref' | 'copies'
  /** Called once, when the first record is read. */
  readonly onFirstInput: () => void
}

/** Declares one. Throws for a name that is none. */
export function topologyOf(kind: string, wish: TopologyWish): Topology {
  const declare = DECLARATIONS.get(kind)
  if (declare === undefined)
    throw new TypeError(`--topology is one of ${[...DECLARATIONS.keys()].join(', ')}`)
  return topology(wish.name, (builder) => declare(builder, wish))
}

type Declare = (builder: TopologyBuilder, wish: TopologyWish) => void

const DECLARATIONS: ReadonlyMap<string, Declare> = new Map<string, Declare>([
  ['pass', pass],
  ['count', count],
  ['wcount', countInWindows],
  ['st', joinTable],
  ['ssj', joinStream],
  ['ss', flagship],
])

function second({ in2 }: TopologyWish): string {
  if (in2 === undefined) throw new TypeError('--in2 is needed')
  return in2
}

function pass(builder: TopologyBuilder, wish: TopologyWish): void {
  byteStream(builder, wish.in1, wish.onFirstInput)
    .mapValues((value) => value, { value: asTheyAre })
    .to(wish.out)
}

function count(builder: TopologyBuilder, wish: TopologyWish): void {
  byteStream(builder, wish.in1, wish.onFirstInput)
    .groupByKey()
    .count({ store: 'counts' })
    .toStream()
    .to(wish.out, { value: int64 })
}

function countInWindows(builder: TopologyBuilder, wish: TopologyWish): void {
  byteStream(builder, wish.in1, wish.onFirstInput)
    .groupByKey()
    .windowedBy(tumbling(minutes(1)))
    .count({ store: 'counts' })
    .toStream()
    .selectKey(({ key }) => `${key.key}@${key.startMs}`, { key: text })
    .to(wish.out, { value: int64 })
}

function joinTable(builder: TopologyBuilder, wish: TopologyWish): void {
  const rows = builder.table(second(wish), reading(wish.onFirstInput))
  byteStream(builder, wish.in1, wish.onFirstInput)
    .join(rows, sideBySide, { value: asTheyAre })
    .to(wish.out)
}

function joinStream(builder: TopologyBuilder, wish: TopologyWish): void {
  const right = byteStream(builder, second(wish), wish.onFirstInput)
  byteStream(builder, wish.in1, wish.onFirstInput)
    .join(right, sideBySide, { windows: joinWindows(seconds(10)), value: asTheyAre })
    .to(wish.out)
}

function flagship(builder: TopologyBuilder, wish: TopologyWish): void {
  const raw = byteStream(builder, wish.in1, wish.onFirstInput)
  const annotations = byteStream(builder, second(wish), wish.onFirstInput)
  const join = { full: joinWithBytes, ref: joinAtHead, copies: joinWhole }[wish.joined]
  join({ raw, annotations, out: wish.out, expireAfter: hours(6) })
}

function sideBySide(left: Buffer, right: Buffer): Buffer {
  const both = Buffer.allocUnsafe(left.length + right.length)
  right.copy(both, left.copy(both))
  return both
}
