/**
 * What the fluent surface must take and must refuse, held by the compiler: `npm run types` fails where
 * a line under `@ts-expect-error` compiles. Nothing here runs.
 */
import type { Enricher } from '../../processors/enricher.ts'
import type { Reference } from '../../processors/payloads.ts'
import { joinWindows } from '../../processors/join-windows.ts'
import type { ProcessorContext } from '../../processors/processor.ts'
import { sessions } from '../../processors/session-windows.ts'
import { tumbling } from '../../processors/time-windows.ts'
import { int64, text } from '../../serdes/primitives.ts'
import { timeWindowed, type Windowed } from '../../serdes/windowed.ts'
import { json } from '../../serdes/json.ts'
import { topology } from '../../topology/builder.ts'
import type { StreamFacts } from '../../topology/facts.ts'
import type { KStream } from '../../topology/stream.ts'
import type { KTable } from '../../topology/table.ts'

interface Order {
  readonly item: string
  readonly amount: number
}
declare const order: ReturnType<typeof json<Order>>
declare const amount: ReturnType<typeof json<number>>
declare const lengthOf: Enricher<string, Order, number>

/** Fails to compile where A and B are not the same type. */
function same<A, B>(
  ..._proof: [A] extends [B] ? ([B] extends [A] ? [] : ['B is wider']) : ['A is wider']
): void {}

export const types = topology('types', ({ stream, table }) => {
  const orders = stream('orders', { key: text, value: order })

  // Types flow through every step.
  const amounts = orders.mapValues(({ amount: n }) => n)
  same<typeof amounts extends KStream<infer K, infer V> ? [K, V] : never, [string, number]>()
  const pairs = orders.map(({ key, value }) => [value.item, key] as const)
  same<typeof pairs extends KStream<infer K, infer V> ? [K, V] : never, [string, string]>()
  const letters = orders.flatMapValues(({ item }) => item.split(' '))
  same<typeof letters extends KStream<string, infer V> ? V : never, string>()
  orders.filter(({ key, value, timestamp }) => key !== '' && value.amount > timestamp)
  // @ts-expect-error -- an order has no price.
  orders.filter(({ value }) => value.price > 1)

  // A sink takes the serdes that are known, and asks for those that are not.
  orders.to('copies')
  orders.filter(() => true).to('copies')
  amounts.to('amounts', { value: amount })
  // @ts-expect-error -- mapValues lost the value's serde.
  amounts.to('amounts')
  // @ts-expect-error -- a name is not a serde.
  amounts.to('amounts', { name: 'sink' })
  // @ts-expect-error -- a serde of another type.
  amounts.to('amounts', { value: text })
  orders.mapValues(({ amount: n }) => n, { value: amount }).to('amounts')
  // @ts-expect-error -- a serde of another type.
  orders.mapValues(({ amount: n }) => n, { value: text })
  // @ts-expect-error -- selectKey lost the key's serde.
  orders.selectKey(({ value }) => value.amount).to('by-amount')
  orders.selectKey(({ value }) => value.amount, { key: amount }).to('by-amount')
  pairs.to('pairs', { key: text, value: text })
  // @ts-expect-error -- map lost both.
  pairs.to('pairs', { key: text })

  // Steps by key take a key that was changed where both serdes are known, for a repartition topic.
  orders.groupByKey().count()
  const byItem = orders.selectKey(({ value }) => value.item, { key: text })
  byItem.groupByKey().count()
  byItem.through('orders-by-item').groupByKey().count()
  const namedByItem = orders.selectKey(({ value }) => value.item)
  // @ts-expect-error -- the key has no serde.
  namedByItem.groupByKey()
  namedByItem.groupByKey({ key: text }).reduce((largest, value) => value ?? largest)
  // @ts-expect-error -- the value has no serde.
  byItem.mapValues(({ amount: n }) => n).groupByKey()
  // @ts-expect-error -- a key alone does not write a repartition topic.
  byItem.mapValues(({ amount: n }) => n).groupByKey({ key: text })
  byItem.mapValues(({ amount: n }) => n).groupByKey({ value: amount })
  // @ts-expect-error -- nor are values without a serde kept.
  amounts.groupByKey().reduce(() => 1)
  amounts.groupByKey().reduce((sum, n) => sum + n, { value: amount })
  amounts.groupByKey().count()

  // Windows change the key's type, and say so; a reduction of windows asks for a serde as any does.
  const perSecond = orders.groupByKey().windowedBy(tumbling(1_000))
  const perWindow = perSecond.count({ store: 'windows', retentionMs: 5_000 }).toStream()
  same<
    typeof perWindow extends KStream<infer K, infer V> ? [K, V] : never,
    [Windowed<string>, bigint]
  >()
  perWindow.to('windows')
  perWindow.to('texts', { key: timeWindowed(text, 1_000) })
  // @ts-expect-error -- the key is in a window now.
  perWindow.to('texts', { key: text })
  const latest = perSecond.reduce((_, value) => value)
  same<typeof latest extends KTable<infer K, infer V> ? [K, V] : never, [Windowed<string>, Order]>()
  // @ts-expect-error -- mapValues lost the value's serde.
  amounts
    .groupByKey()
    .windowedBy(tumbling(1_000))
    .reduce(() => 1)
  amounts
    .groupByKey()
    .windowedBy(tumbling(1_000))
    .reduce(() => 1, { value: amount })
  // @ts-expect-error -- the aggregate is a number.
  perSecond.aggregate({ initial: () => 0, add: (sum) => sum }, { value: text })
  const perSession = orders.groupByKey().windowedBy(sessions(1_000))
  const inSessions = perSession.count()
  // A session goes when it becomes longer, so that its row may be gone.
  same<
    ReturnType<typeof inSessions.toStream> extends KStream<infer K, infer V> ? [K, V] : never,
    [Windowed<string>, bigint | null]
  >()
  // @ts-expect-error -- two sessions have to be merged.
  perSession.aggregate({ initial: () => 0, add: (sum) => sum }, { value: amount })
  // @ts-expect-error -- windows are made by tumbling and hopping.
  orders.groupByKey().windowedBy(1_000)
  // @ts-expect-error -- rows without windows are kept for ever.
  orders.groupByKey().count({ retentionMs: 5_000 })
  // @ts-expect-error -- another key has no serde yet.
  orders.groupBy(({ value }) => value.item)
  orders.groupBy(({ value }) => value.item, { key: text }).count()
  // @ts-expect-error -- the value has no serde.
  amounts.groupBy(({ value }) => value, { key: amount })
  const sums = orders
    .groupBy(({ value }) => value.item, { key: text })
    .aggregate(
      { initial: () => 0, add: (sum, value) => sum + value.amount },
      { store: 'sums', value: amount },
    )
  same<typeof sums extends KTable<infer K, infer V> ? [K, V] : never, [string, number]>()
  // @ts-expect-error -- it writes a topic, so it needs the serde.
  amounts.repartition()
  amounts.repartition({ value: amount }).groupByKey().count()
  // @ts-expect-error -- through writes the topic, so it needs the serde.
  orders.selectKey(({ value }) => value.item).through('orders-by-item')

  // Counts are bigints, and never null; a table of a topic can lose rows.
  const counts = orders.groupByKey().count({ store: 'counts' }).toStream()
  same<typeof counts extends KStream<string, infer V> ? V : never, bigint>()
  counts.to('counts', { value: int64 })
  const rows = table('items', { key: text, value: order }).toStream()
  same<typeof rows extends KStream<string, infer V> ? V : never, Order | null>()
  rows.to('items-copy')
  rows.to('items-copy', { value: order })
  // @ts-expect-error -- a removed row has no amount.
  rows.mapValues((row) => row.amount + 1)
  const expensive: KTable<string, Order> = table('t', { key: text, value: order }).filter(
    (value) => value.amount > 10,
  )
  expensive
    .mapValues(({ amount: n }) => n, { value: amount })
    .toStream()
    .to('amounts')

  // A join with a table has the row, which a left join may miss.
  const prices = table('prices', { key: text, value: amount })
  const priced = byItem.join(prices, (item, price) => item.amount * price, { value: amount })
  same<typeof priced extends KStream<string, infer V> ? V : never, number>()
  priced.to('priced')
  // @ts-expect-error -- a price may be missing.
  byItem.leftJoin(prices, (item, price) => item.amount * price)
  byItem.leftJoin(prices, (item, price) => item.amount * (price ?? 0))
  // @ts-expect-error -- amounts have no serde for the repartition topic.
  byItem.mapValues(({ amount: n }) => n).join(prices, (n, price) => n * price)
  amounts.join(prices, (n, price) => n * price)
  const byAmount = orders.selectKey(() => 1, { key: amount })
  // @ts-expect-error -- keys of another type.
  byAmount.join(prices, () => 1)

  orders.join(orders.groupByKey().count(), (item, count) => count > BigInt(item.amount))

  // A split has the branches that were named.
  const { large, rest } = orders
    .split()
    .branch('large', ({ value }) => value.amount > 10)
    .defaultBranch('rest')
  large.merge(rest).to('all', { value: order, key: text })
  const branches = orders.split().branch('large', () => true)
  // @ts-expect-error -- there is no such branch.
  void branches.noDefaultBranch().small

  // A stream of rows that may be removed becomes a table of rows.
  const again = rows.toTable()
  same<typeof again extends KTable<string, infer V> ? V : never, Order>()
  // @ts-expect-error -- groups are kept by serdes that only the author knows.
  again.groupBy((value) => [value.item, value.amount], { key: text })
  again
    .groupBy((value) => [value.item, value.amount] as const, { key: text, value: amount })
    .reduce(
      (sum, n) => sum + n,
      (sum, n) => sum - n,
    )
    .toStream()
    .to('amounts')

  // References stand for values of the log, directly behind a topic.
  const references = orders.byReference()
  same<typeof references extends KStream<string, infer V> ? V : never, Reference<Order>>()
  // @ts-expect-error -- a mapped value is not in the log.
  amounts.byReference()
  // @ts-expect-error -- nor is a filtered stream the topic.
  orders.filter(() => true).byReference()
  const back = references.filter(({ value }) => value.sizeBytes > 10).dereference()
  same<typeof back extends KStream<string, infer V> ? V : never, Order>()
  // @ts-expect-error -- these are no references.
  orders.dereference()

  // A service sees values, also where the stream carries references.
  const lengths = references.enrich('length', lengthOf)
  same<typeof lengths extends KStream<string, infer V> ? V : never, number>()
  orders.enrich('length', lengthOf, { orderBy: 'partition' })
  // @ts-expect-error -- the enricher takes orders.
  amounts.enrich('length', lengthOf)
  // @ts-expect-error -- waiting rows are kept by the value's serde.
  orders.mapValues((value) => value).enrich('length', lengthOf)

  // A join has both types, inherits the serdes it knows, and asks for the others.
  const joined = references.joinOnce(
    'join',
    lengths,
    (reference, length) => ({ reference, length }),
    {
      expireAfter: 1000,
    },
  )
  same<
    typeof joined extends KStream<string, infer V> ? V : never,
    { reference: Reference<Order>; length: number }
  >()
  // @ts-expect-error -- its result has no serde.
  joined.to('joined')
  orders
    .joinOnce('j', amounts, (left, right) => left.amount + right, {
      expireAfter: 1000,
      right: amount,
      value: amount,
    })
    .to('sums')
  // @ts-expect-error -- the right side's values have no serde.
  orders.joinOnce('j', amounts, (left, right) => left.amount + right, { expireAfter: 1000 })
  orders.joinOnce('j', byItem, (left, right) => left.amount + right.amount, {
    expireAfter: 1000,
  })

  // A join of two streams asks for the same, and for its window.
  const windows = joinWindows(1000)
  const both = orders.join(byItem, (left, right) => left.amount + right.amount, { windows })
  same<typeof both extends KStream<string, infer V> ? V : never, number>()
  // @ts-expect-error -- its result has no serde.
  both.to('both')
  orders
    .leftJoin(amounts, (left, right) => left.amount + (right ?? 0), {
      windows,
      right: amount,
      value: amount,
    })
    .to('sums')
  // @ts-expect-error -- the right side may be missing.
  orders.leftJoin(amounts, (left, right) => left.amount + right, { windows, right: amount })
  // @ts-expect-error -- either side may be missing.
  orders.outerJoin(byItem, (left) => left.amount, { windows })
  // @ts-expect-error -- the right side's values have no serde.
  orders.join(amounts, (left, right) => left.amount + right, { windows })
  // @ts-expect-error -- two streams meet within a window.
  orders.join(byItem, (left, right) => left.amount + right.amount, {})

  // @ts-expect-error -- a waiting row is kept by the serde of the value around the reference.
  joined.dereference({ from: references, select: () => null, replace: () => 1 })
  const kept = references.joinOnce('k', lengths, (reference, length) => ({ reference, length }), {
    expireAfter: 1000,
    value: json<{ reference: Reference<Order>; length: number }>(),
  })
  const named = kept.dereference({
    from: references,
    select: ({ reference }) => reference,
    replace: ({ length }, item) => ({ length, item }),
  })
  same<
    typeof named extends KStream<string, infer V> ? V : never,
    { length: number; item: Order | null }
  >()

  // An author's own step says what it forwards.
  const processed = orders.process({
    value: amount,
    create:
      ({ forward }: ProcessorContext<string, number>) =>
      (record) =>
        forward(record.withValue(record.value.amount)),
  })
  same<typeof processed extends KStream<infer K, infer V> ? [K, V] : never, [string, number]>()
  // @ts-expect-error -- it may have changed the key, whose serde is not known.
  processed.to('processed')

  // A stream typed without facts passes; validation has the last word.
  const plain: KStream<string, Order> = orders
  plain.groupByKey().count()
  plain.to('copies')
  const facts: StreamFacts | undefined = undefined
  same<typeof facts, undefined>()

  // @ts-expect-error -- a topic is read with both serdes.
  stream('orders', { key: text })
  // @ts-expect-error -- partitionBy takes the key.
  stream('orders', { key: text, value: order, partitionBy: (key: number) => String(key) })
})
