/**
 * Compares what a run has put out with what it was fed, record by record and partition by partition.
 * The inputs are read from the log as well, and have to be what the feeder was acknowledged: else a
 * loss there would look like a smaller task.
 */
import { crc32c } from '../../model/crc32c.ts'
import type { Topic } from '../../model/position.ts'
import { avro } from '../../serdes/avro.ts'
import type { Registry } from '../../serdes/registry.ts'
import type { OpenSerde, Serde } from '../../serdes/serde.ts'
import { AnnotatedChunk, Annotation, Chunk, ChunkKey } from '../../video/schemas.ts'
import { compare, compareGroups, type Came, type Violation } from './compare.ts'
import type { Fed } from './feeder.ts'
import * as model from './model.ts'
import type { ReadRecord, ReadTopic } from './read-topics.ts'
import {
  chunkOf,
  INPUT,
  keyOfNumber,
  OUTPUT,
  partitionOf,
  placeOfChunk,
  WINDOW_MS,
} from './shape.ts'

/** Everything a run has written. */
export interface Written {
  readonly fed: Fed
  readonly of: (topic: Topic) => ReadTopic
  readonly registry: Registry
}

type Grouped = readonly (readonly [group: string, came: Came])[]

/** All violations; none where each record had its effect once, in order. */
export async function verify(written: Written): Promise<readonly Violation[]> {
  return [
    ...verifyInputs(written),
    ...verifyNumbers(written),
    ...verifyRecounts(written),
    ...verifyPairs(written),
    ...(await verifyVideo(written)),
  ]
}

/** How many records each output has in the end. */
export function expectedCounts({ fed, of }: Written): ReadonlyMap<Topic, number> {
  const pairs = of(INPUT.left).flatMap((left, p) =>
    model.expectPairs(sides(left), sides(of(INPUT.right)[p] ?? [])),
  )
  const { echo, counted, minima, sums, windowed, recounted, paired, enriched, joined } = OUTPUT
  const ofNumbers = [echo, counted, minima, sums, windowed, recounted]
  return new Map([
    ...ofNumbers.map((topic) => [topic, fed.numbers] as const),
    [paired, pairs.length],
    ...[enriched, joined].map((topic) => [topic, fed.chunks] as const),
  ])
}

function verifyInputs({ fed, of }: Written): readonly Violation[] {
  const numbers = (count: number, prefix: string): readonly string[] =>
    Array.from({ length: count }, (_, n) => `${prefix}${n}`)
  const sent = [
    [INPUT.numbers, numbers(fed.numbers, '')],
    [INPUT.left, numbers(fed.pairs, 'l')],
    [INPUT.right, numbers(fed.pairs, 'r')],
  ] as const
  return sent.flatMap(([topic, values]) => {
    const came = of(topic)
      .flat()
      .map(cameAs(({ value }) => value.toString()))
    // Over all partitions, so without an order.
    const byNumber = (a: Came, b: Came): number =>
      Number(a.text.replace(/\D/, '')) - Number(b.text.replace(/\D/, ''))
    return compare(topic, values, came.toSorted(byNumber))
  })
}

function verifyNumbers({ of }: Written): readonly Violation[] {
  return of(INPUT.numbers).flatMap((records, partition) => {
    const expected = model.expectNumbers(numbersIn(records))
    const check = (name: keyof model.ExpectedNumbers, describe = keyAndValue) =>
      compare(
        `${OUTPUT[name]}[${partition}]`,
        expected[name],
        (of(OUTPUT[name])[partition] ?? []).map(cameAs(describe)),
      )
    return [
      ...check('echo', ({ value, timestamp }) => model.describeEcho(Number(value), timestamp)),
      ...check('counted'),
      ...check('minima'),
      ...check('sums'),
      ...check('windowed', inWindow),
    ]
  })
}

/** Each number is counted once, and the counts of a key are 1, 2, 3 and so on. */
function verifyRecounts({ of }: Written): readonly Violation[] {
  const came = of(OUTPUT.recounted).flat()
  const origins: Grouped = came.map(({ value, offset }) => {
    const n = Number(value.toString().split(':')[1])
    const origin = model.describeOrigin(n, partitionOf(keyOfNumber(n)))
    return [origin, { text: String(n), offset }]
  })
  const counts = came.map(
    ({ key, value, offset }) =>
      [key.toString(), { text: value.toString().split(':')[0] ?? '', offset }] as const,
  )
  const expected = model.expectRecounts(of(INPUT.numbers).map(numbersIn))
  const lengths = Map.groupBy(expected, ([group]) => group.split(' ')[0] ?? '')
  const wanted = [...lengths].flatMap(([key, all]) =>
    all.map((_, i) => [key, String(i + 1)] as const),
  )
  return [
    ...compareGroups(OUTPUT.recounted, expected, origins),
    ...compareGroups(OUTPUT.recounted, wanted, counts),
  ]
}

/** Each pair once; those of one record in the order of the others. */
function verifyPairs({ of }: Written): readonly Violation[] {
  return of(OUTPUT.paired).flatMap((records, partition) => {
    const side = (topic: Topic): readonly model.SideRecord[] => sides(of(topic)[partition] ?? [])
    const expected = model.expectPairs(side(INPUT.left), side(INPUT.right))
    const came: Grouped = records.map((record) => {
      const text = keyAndValue(record)
      return [text.split(/[=+]/)[1] ?? '', { text, offset: record.offset }]
    })
    const place = `${OUTPUT.paired}[${partition}]`
    const found = compareGroups(place, expected, came)
    if (found.length > 0) return found
    const right = (text: string): string => text.split('+')[1] ?? ''
    return compareGroups(
      place,
      expected.map(([, text]) => [right(text), text] as const),
      came.map(([, each]) => [right(each.text), each] as const),
    )
  })
}

/** Each chunk is annotated once and joined once, with a reference to the bytes that it had. */
async function verifyVideo(written: Written): Promise<readonly Violation[]> {
  const { of, registry } = written
  const opened = async <T>(topic: Topic, serde: Serde<T>): Promise<OpenSerde<T>> =>
    await serde.open({ topic, role: 'value', registry })
  const keys = await avro(ChunkKey).open({ topic: INPUT.chunks, role: 'key', registry })
  const chunks = await opened(INPUT.chunks, avro(Chunk))
  const annotations = await opened(OUTPUT.enriched, avro(Annotation))
  const joins = await opened(OUTPUT.joined, avro(AnnotatedChunk))
  const fed = verifyChunks(written, (record) => valueOf(chunks, record))
  const found = of(INPUT.chunks).flatMap((records, partition) => {
    const expected = records.map((record) => {
      const { videoId, index } = valueOf(chunks, record)
      const place = `${partition}/${record.offset}`
      return { videoId, index, at: `${index} at ${place} of ${crc32c(record.value)}` }
    })
    const annotated: Grouped = (of(OUTPUT.enriched)[partition] ?? []).map((record) => {
      const { videoId, index } = valueOf(annotations, record)
      return [videoId, { text: String(index), offset: record.offset }]
    })
    const joined: Grouped = (of(OUTPUT.joined)[partition] ?? []).map((record) => {
      const { chunk, annotation } = valueOf(joins, record)
      const { videoId } = keys.deserialize(record.key, 0, record.key.length)
      const place = `${chunk.partition}/${chunk.offset}`
      const text = `${annotation?.index} at ${place} of ${chunk.crc32c}`
      return [videoId, { text, offset: record.offset }]
    })
    const indexes = expected.map(({ videoId, index }) => [videoId, String(index)] as const)
    const joinedAs = expected.map(({ videoId, at }) => [videoId, at] as const)
    return [
      ...compareGroups(`${OUTPUT.enriched}[${partition}]`, indexes, annotated),
      ...compareGroups(`${OUTPUT.joined}[${partition}]`, joinedAs, joined),
    ]
  })
  return [...fed, ...found]
}

/** The chunks of each video are in the log, in order, with the bytes they were made with. */
function verifyChunks(
  { fed, of }: Written,
  read: (record: ReadRecord) => Chunk,
): readonly Violation[] {
  const sent = Array.from({ length: fed.chunks }, (_, i) => placeOfChunk(i))
  const came: Grouped = of(INPUT.chunks)
    .flat()
    .map((record) => {
      const { videoId, index, bytes } = read(record)
      const isWhole = bytes.equals(chunkOf(videoId, index).bytes)
      return [videoId, { text: isWhole ? String(index) : 'damaged', offset: record.offset }]
    })
  const expected = sent.map(({ videoId, index }) => [videoId, String(index)] as const)
  return compareGroups(INPUT.chunks, expected, came)
}

function valueOf<T>(serde: OpenSerde<T>, { value }: ReadRecord): T {
  return serde.deserialize(value, 0, value.length)
}

function numbersIn(records: readonly ReadRecord[]): readonly model.NumberRecord[] {
  return records.map(({ value, timestamp }) => ({ n: Number(value), timestamp }))
}

function sides(records: readonly ReadRecord[]): readonly model.SideRecord[] {
  return records.map(({ key, value, timestamp }) => ({
    key: key.toString(),
    value: value.toString(),
    timestamp,
  }))
}

function cameAs(describe: (record: ReadRecord) => string): (record: ReadRecord) => Came {
  return (record) => ({ text: describe(record), offset: record.offset })
}

function keyAndValue({ key, value }: ReadRecord): string {
  return `${key.toString()}=${value.toString()}`
}

/** The key of a window is followed by its start. */
function inWindow({ key, value }: ReadRecord): string {
  const at = key.length - 8
  const start = Number(key.readBigInt64BE(at))
  if (start % WINDOW_MS !== 0) return `no window starts at ${start}`
  return `${key.subarray(0, at).toString()}@${start}=${value.toString()}`
}
