/**
 * A stream of records while a topology is being declared. A stream is a value: each step answers with
 * a new one, and using one twice sends its records both ways. The words are Kafka Streams'. Steps
 * take the whole record, value-only steps the value first. A null value is a tombstone; steps see it
 * like any other, whatever V says, as in Kafka Streams.
 */
import type { StreamRecord } from '../model/record.ts'
import type { EnrichOptions } from '../processors/enrich-options.ts'
import type { Enricher } from '../processors/enricher.ts'
import { branch } from '../processors/branch.ts'
import { filter, filterNot } from '../processors/filter.ts'
import { flatMap, flatMapValues } from '../processors/flat-map.ts'
import { mapValues } from '../processors/map-values.ts'
import { map } from '../processors/map.ts'
import { merge } from '../processors/merge.ts'
import type { Dereferenced, Reference } from '../processors/payloads.ts'
import { foreach, peek } from '../processors/peek.ts'
import { processValues } from '../processors/process-values.ts'
import { process } from '../processors/process.ts'
import { selectKey } from '../processors/select-key.ts'
import { attachSink, attachThrough, type SinkWish } from './attach.ts'
import { attachEnrich } from './attach-enrich.ts'
import { attachJoinOnce } from './attach-join-once.ts'
import { attachByReference, attachDereference } from './attach-references.ts'
import { attachStreamJoin, type StreamJoinCall, type StreamJoinWish } from './attach-stream-join.ts'
import { attachTableJoin, attachTableLeftJoin } from './attach-table-join.ts'
import { attachToTable } from './attach-to-table.ts'
import { KBranchedStream } from './branched.ts'
import type * as Fact from './facts.ts'
import type { AnyProcessorSpec } from './graph.ts'
import { KGroupedStream } from './grouped.ts'
import { PREFIX } from './naming.ts'
import type * as Option from './options.ts'
import { repartitioned } from './repartition.ts'
import * as need from './requirements.ts'
import * as after from './stream-state.ts'
import { KTable, type AnyTable } from './table.ts'

/** Records with keys K and values V. F is what else the compiler knows of them (topology/facts.ts); leave it out to know nothing. */
export class KStream<K, V, F extends Fact.StreamFacts = Fact.StreamFacts> {
  readonly #state: after.StreamState

  /** Made by the builder and by steps, never by an author. */
  constructor(state: after.StreamState) {
    this.#state = state
  }

  /** The records for which `keep` answers true. */
  filter(
    keep: (record: StreamRecord<K, V>) => boolean,
    { name }: Option.Named = {},
  ): KStream<K, V, Fact.Passed<F>> {
    return this.#pass(filter(this.#name(PREFIX.filter, name), keep))
  }

  /** The records for which `drop` answers false. */
  filterNot(
    drop: (record: StreamRecord<K, V>) => boolean,
    { name }: Option.Named = {},
  ): KStream<K, V, Fact.Passed<F>> {
    return this.#pass(filterNot(this.#name(PREFIX.filter, name), drop))
  }

  /** The same records, after `look` was called with each. What it does outside may happen again after a failure. */
  peek(
    look: (record: StreamRecord<K, V>) => void,
    { name }: Option.Named = {},
  ): KStream<K, V, Fact.Passed<F>> {
    return this.#pass(peek(this.#name(PREFIX.peek, name), look))
  }

  /** Calls `act` with each record and ends the stream there. What it does outside may happen again after a failure. */
  foreach(act: (record: StreamRecord<K, V>) => void, { name }: Option.Named = {}): void {
    this.#add(foreach(this.#name(PREFIX.foreach, name), act))
  }

  /** Each record with the key and value that `mapper` answers. */
  map<L, W, O extends Option.KeyValueStep<L, W> = Option.Named>(
    mapper: (record: StreamRecord<K, V>) => readonly [L, W],
    options?: O & Option.KeyValueStep<L, W>,
  ): KStream<L, W, Fact.BothChanged<O>> {
    const node = this.#add(map(this.#name(PREFIX.map, options?.name), mapper))
    return new KStream(after.bothChanged(this.#state, node, options))
  }

  /** Each record with the value that `mapper` answers; the key stays. */
  mapValues<W, O extends Option.ValueStep<W> = Option.Named>(
    mapper: (value: V, record: StreamRecord<K, V>) => W,
    options?: O & Option.ValueStep<W>,
  ): KStream<K, W, Fact.ValueChanged<F, O>> {
    const node = this.#add(mapValues(this.#name(PREFIX.mapValues, options?.name), mapper))
    return new KStream(after.valueChanged(this.#state, node, options?.value))
  }

  /** For each record, one with each key and value that `mapper` answers. */
  flatMap<L, W, O extends Option.KeyValueStep<L, W> = Option.Named>(
    mapper: (record: StreamRecord<K, V>) => Iterable<readonly [L, W]>,
    options?: O & Option.KeyValueStep<L, W>,
  ): KStream<L, W, Fact.BothChanged<O>> {
    const node = this.#add(flatMap(this.#name(PREFIX.flatMap, options?.name), mapper))
    return new KStream(after.bothChanged(this.#state, node, options))
  }

  /** For each record, one with each value that `mapper` answers; the key stays. */
  flatMapValues<W, O extends Option.ValueStep<W> = Option.Named>(
    mapper: (value: V, record: StreamRecord<K, V>) => Iterable<W>,
    options?: O & Option.ValueStep<W>,
  ): KStream<K, W, Fact.ValueChanged<F, O>> {
    const node = this.#add(flatMapValues(this.#name(PREFIX.flatMapValues, options?.name), mapper))
    return new KStream(after.valueChanged(this.#state, node, options?.value))
  }

  /** Each record with the key that `keyOf` answers. A step by key then sends the records through a repartition topic. */
  selectKey<L, O extends Option.KeyStep<L> = Option.Named>(
    keyOf: (record: StreamRecord<K, V>) => L,
    options?: O & Option.KeyStep<L>,
  ): KStream<L, V, Fact.KeyChanged<F, O>> {
    const node = this.#add(selectKey(this.#name(PREFIX.selectKey, options?.name), keyOf))
    return new KStream(after.keyChanged(this.#state, node, options?.key))
  }

  /** The records of both streams. It keeps a serde that is the very same in both. */
  merge<G extends Fact.StreamFacts>(
    other: KStream<K, V, G>,
    { name }: Option.Named = {},
  ): KStream<K, V, Fact.Merged<F, G>> {
    const node = this.#name(PREFIX.merge, name)
    const parents = need.parentsOf(this.#state, other.#state, node)
    this.#state.draft.addProcessor({ spec: merge(node), parents })
    return new KStream(after.agreed(this.#state, other.#state, node))
  }

  /** Splits the stream: each record goes into the first of the branches that takes it. */
  split({ name: given }: Option.Named = {}): KBranchedStream<K, V, F> {
    const node = this.#add(branch(this.#name(PREFIX.branch, given), []))
    return new KBranchedStream(after.passed(this.#state, node), streamOf)
  }

  /** The author's own logic over stores. It may change keys, so a step by key sends the records through a repartition topic. */
  process<L, W, O extends Option.ProcessStep<K, V, L, W> = Option.ProcessStep<K, V, L, W>>(
    declaration: O & Option.ProcessStep<K, V, L, W>,
  ): KStream<L, W, Fact.BothChanged<O>> {
    const node = this.#add(
      process(this.#onlyUnnamed(PREFIX.process, declaration.name), declaration),
    )
    return new KStream(after.bothChanged(this.#state, node, declaration))
  }

  /** The author's own logic over stores, which leaves keys as they are. */
  processValues<W, O extends Option.ProcessValuesStep<K, V, W> = Option.ProcessValuesStep<K, V, W>>(
    declaration: O & Option.ProcessValuesStep<K, V, W>,
  ): KStream<K, W, Fact.ValueChanged<F, O>> {
    const node = this.#onlyUnnamed(PREFIX.processValues, declaration.name)
    this.#add(processValues(node, declaration))
    return new KStream(after.valueChanged(this.#state, node, declaration.value))
  }

  /** The records by their key, for `count`, `reduce` and `aggregate`. */
  groupByKey(this: Fact.ByKeyWithSerde<F>): KGroupedStream<K, V, F>
  groupByKey(
    options: Option.GroupOptions<K, V> & Fact.GroupSerdesNeeded<F>,
  ): KGroupedStream<K, V, F>
  groupByKey(options: Option.GroupOptions<K, V> = {}): KGroupedStream<K, V, F> {
    return new KGroupedStream(after.grouped(this.#state, options), streamOf)
  }

  /** The records by the key that `keyOf` answers. They go through a repartition topic. */
  groupBy<L>(
    keyOf: (record: StreamRecord<K, V>) => L,
    options: Option.GroupByOptions<L, V> & Fact.ValueNeeded<F>,
  ): KGroupedStream<L, V, F> {
    const node = this.#add(selectKey(this.#name(PREFIX.selectKey, options.name), keyOf))
    const state = after.keyChanged(this.#state, node, options.key)
    return new KGroupedStream(after.grouped(state, options), streamOf)
  }

  /** The records by way of a topic of the application's own: each in the partition of its key, in a sub-topology of its own. Records without key are dropped there, unless a left join follows. */
  repartition(
    options: Option.RepartitionStep<K, V> & Fact.SerdesNeeded<F>,
  ): KStream<K, V, Fact.Keyed>
  repartition(this: Fact.SinkSerdes<F>): KStream<K, V, Fact.Keyed>
  repartition(step: Option.RepartitionStep<K, V> = {}): KStream<K, V, Fact.Keyed> {
    const prefix = this.#onlyUnnamed(PREFIX.repartition, step.name)
    const key = need.keySerde(this.#state, prefix, step.key)
    const value = need.valueSerde(this.#state, prefix, { given: step.value, option: 'value' })
    const { partitions, partitionBy } = step
    return new KStream(repartitioned(this.#state, { prefix, key, value, partitions, partitionBy }))
  }

  /** The stream as a table: each record replaces the row of its key, a null value removes it. */
  toTable(
    this: Fact.Serdes<F>,
    step?: Option.ToTableStep<K, V>,
  ): KTable<K, NonNullable<V>, Fact.Keyed>
  toTable(
    step: Option.ToTableStep<K, V> & Fact.SerdesNeeded<F>,
  ): KTable<K, NonNullable<V>, Fact.Keyed>
  toTable(step: Option.ToTableStep<K, V> = {}): KTable<K, NonNullable<V>, Fact.Keyed> {
    return new KTable(attachToTable<K, NonNullable<V>>(this.#state, step), streamOf)
  }

  /** Each record with the row of its key in a table, as the table is when the record's turn comes. Records whose key has no row are left out. */
  // eslint-disable-next-line max-params -- the fourth is `this`, which is no argument.
  join<R, Out, O extends Option.TableJoinStep<K, V, Out> = Option.Named>(
    this: Fact.ByKey<F>,
    table: AnyTable<K, R>,
    join: (value: V, row: R, key: K) => Out,
    options?: O & Option.TableJoinStep<K, V, Out>,
  ): KStream<K, Out, Fact.Joined<F, O>>
  join<R, Out, O extends Option.TableJoinStep<K, V, Out>>(
    table: AnyTable<K, R>,
    join: (value: V, row: R, key: K) => Out,
    options: O & Option.TableJoinStep<K, V, Out> & Fact.TableJoinSerdesNeeded<F>,
  ): KStream<K, Out, Fact.Joined<F, O>>
  /** Each record with each of the other stream that has its key and is within the window. */
  join<R, G extends Fact.StreamFacts, Out, O extends Option.StreamJoinStep<K, V, R, Out>>(
    other: KStream<K, R, G>,
    join: (left: V, right: R, key: K) => Out,
    options: O & Option.StreamJoinStep<K, V, R, Out> & Fact.JoinSerdesNeeded<F, G>,
  ): KStream<K, Out, Fact.Joined<F, O>>
  join<R, Out>(
    other: AnyTable<K, R> | KStream<K, R>,
    join: (left: V, right: R, key: K) => Out,
    wish: StreamJoinWish = {},
  ): KStream<K, Out> {
    if (#state in other) return this.#joinStream(other, { join, wish })
    return new KStream(attachTableJoin(this.#state, other.state, { join, wish }))
  }

  /** As `join`, with null for the row where the key has none. */
  // eslint-disable-next-line max-params -- the fourth is `this`, which is no argument.
  leftJoin<R, Out, O extends Option.TableJoinStep<K, V, Out> = Option.Named>(
    this: Fact.ByKey<F>,
    table: AnyTable<K, R>,
    join: (value: V, row: R | null, key: K) => Out,
    options?: O & Option.TableJoinStep<K, V, Out>,
  ): KStream<K, Out, Fact.Joined<F, O>>
  leftJoin<R, Out, O extends Option.TableJoinStep<K, V, Out>>(
    table: AnyTable<K, R>,
    join: (value: V, row: R | null, key: K) => Out,
    options: O & Option.TableJoinStep<K, V, Out> & Fact.TableJoinSerdesNeeded<F>,
  ): KStream<K, Out, Fact.Joined<F, O>>
  /** As `join`, and each record that met nobody with null, once its window and grace are over. */
  leftJoin<R, G extends Fact.StreamFacts, Out, O extends Option.StreamJoinStep<K, V, R, Out>>(
    other: KStream<K, R, G>,
    join: (left: V, right: R | null, key: K) => Out,
    options: O & Option.StreamJoinStep<K, V, R, Out> & Fact.JoinSerdesNeeded<F, G>,
  ): KStream<K, Out, Fact.Joined<F, O>>
  leftJoin<R, Out>(
    other: AnyTable<K, R> | KStream<K, R>,
    join: (left: V, right: R | null, key: K) => Out,
    wish: StreamJoinWish = {},
  ): KStream<K, Out> {
    const leftAlone = (left: V, key: K): Out => join(left, null, key)
    if (#state in other) return this.#joinStream(other, { join, leftAlone, wish })
    return new KStream(attachTableLeftJoin(this.#state, other.state, { join, wish }))
  }

  /** As `leftJoin` of two streams, and so with the records of the other one too. */
  outerJoin<R, G extends Fact.StreamFacts, Out, O extends Option.StreamJoinStep<K, V, R, Out>>(
    other: KStream<K, R, G>,
    join: (left: V | null, right: R | null, key: K) => Out,
    options: O & Option.StreamJoinStep<K, V, R, Out> & Fact.JoinSerdesNeeded<F, G>,
  ): KStream<K, Out, Fact.Joined<F, O>>
  outerJoin<R, Out>(
    other: KStream<K, R>,
    join: (left: V | null, right: R | null, key: K) => Out,
    wish: StreamJoinWish,
  ): KStream<K, Out> {
    const leftAlone = (left: V, key: K): Out => join(left, null, key)
    const rightAlone = (right: R, key: K): Out => join(null, right, key)
    return this.#joinStream(other, { join, leftAlone, rightAlone, wish })
  }

  /** Writes the records to a topic. */
  to(topic: string, options: Option.SinkOptions<K, V> & Fact.SerdesNeeded<F>): void
  to(this: Fact.SinkSerdes<F>, topic: string): void
  to(topic: string, options: Option.SinkOptions<K, V> = {}): void {
    // Of a sink's serdes only the writing half is ever used.
    attachSink(this.#state, topic, options as SinkWish)
  }

  /** Writes the records to a topic and reads them from there: each in the partition of its key, in a sub-topology of its own. */
  through(
    topic: string,
    options: Option.ThroughOptions<K, V> & Fact.SerdesNeeded<F>,
  ): KStream<K, V, Fact.SourceFacts>
  through(this: Fact.SinkSerdes<F>, topic: string): KStream<K, V, Fact.SourceFacts>
  through(
    topic: string,
    options: Option.ThroughOptions<K, V> = {},
  ): KStream<K, V, Fact.SourceFacts> {
    return new KStream(attachThrough(this.#state, topic, options))
  }

  /**
   * Each value replaced by a reference to where it lies in the log: some 40 bytes in joins, stores
   * and changelogs, whatever the size of the value. Enrich steps see the value itself; `dereference`
   * brings it back. Records with a null value are dropped.
   */
  byReference(
    this: Fact.AtTopic<F>,
    options?: Option.Named,
  ): KStream<K, Reference<V>, Fact.Referenced<F>>
  byReference({ name: given }: Option.Named = {}): KStream<K, Reference<V>> {
    return new KStream(attachByReference<K, V>(this.#state, given))
  }

  /** What references stand for, in their place: of the whole value, or of a reference that `select` finds in it. */
  dereference(
    this: Fact.OfReferences<V>,
    options?: Option.ReadingStep<K, V, Dereferenced<V>>,
  ): KStream<K, Dereferenced<V>, Fact.Resolved<F>>
  dereference<T, Out, O extends Option.DereferenceStep<K, V, T, Out>>(
    this: Fact.Serdes<F>,
    options: O & Option.DereferenceStep<K, V, T, Out>,
  ): KStream<K, Out, Fact.ValueChanged<F, O>>
  dereference<T, Out>(
    step: Option.ReadingStep<K, V, Out> & Partial<Option.DereferenceStep<K, V, T, Out>> = {},
  ): KStream<K, Out> {
    const { from = this, ...wish } = step
    return new KStream(attachDereference(this.#state, from.#state, wish))
  }

  /**
   * Asks a service about each record; the results have the record's key, timestamp and headers. The
   * step is asynchronous and exactly-once: waiting records stand in a store, offsets are not held
   * back. A service sees values, also where the stream carries references.
   */
  // eslint-disable-next-line max-params -- the fourth is `this`, which is no argument.
  enrich<R>(
    this: Fact.Serdes<F>,
    name: string,
    enricher: Enricher<K, Dereferenced<V>, R>,
    options?: EnrichOptions<K, Dereferenced<V>, R>,
  ): KStream<K, R, Fact.Resolved<F>>
  enrich<R>(
    name: string,
    enricher: Enricher<K, Dereferenced<V>, R>,
    options: EnrichOptions<K, Dereferenced<V>, R> = {},
  ): KStream<K, R> {
    const node = this.#name(PREFIX.enrich, name)
    return new KStream(attachEnrich<K, V, R>(this.#state, node, { enricher, options }))
  }

  /**
   * Joins two streams in which each key comes once: whichever side comes first waits in a store, the
   * second emits and removes it. What never meets its partner is expired by policy. A side whose key
   * was changed goes through a repartition topic.
   */
  // eslint-disable-next-line max-params -- name, two sides and their join read best in a line.
  joinOnce<R, G extends Fact.StreamFacts, Out, O extends Option.JoinOnceStep<K, V, R, Out>>(
    name: string,
    other: KStream<K, R, G>,
    join: (left: V, right: R) => Out,
    options: O & Option.JoinOnceStep<K, V, R, Out> & Fact.JoinSerdesNeeded<F, G>,
  ): KStream<K, Out, Fact.Joined<F, O>>
  // eslint-disable-next-line max-params -- see above.
  joinOnce<R, Out>(
    name: string,
    other: KStream<K, R>,
    join: (left: V, right: R) => Out,
    step: Option.JoinOnceStep<K, V, R, Out>,
  ): KStream<K, Out> {
    const node = this.#name(PREFIX.joinOnce, name)
    const sides = [this.#state, other.#state] as const
    return new KStream(attachJoinOnce(sides, node, { ...step, join }))
  }

  #joinStream<R, Out>(other: KStream<K, R>, step: StreamJoinCall<K, V, R, Out>): KStream<K, Out> {
    return new KStream(attachStreamJoin([this.#state, other.#state], step))
  }

  #name(prefix: string, given?: string): string {
    return this.#state.draft.naming.step(prefix, given)
  }

  #onlyUnnamed(prefix: string, given?: string): string {
    return this.#state.draft.naming.unlessGiven(prefix, given)
  }

  #add(spec: AnyProcessorSpec): string {
    this.#state.draft.addProcessor({ spec, parents: [this.#state.node] })
    return spec.name
  }

  #pass(spec: AnyProcessorSpec): KStream<K, V, Fact.Passed<F>> {
    return new KStream(after.passed(this.#state, this.#add(spec)))
  }
}

function streamOf<K, V, F extends Fact.StreamFacts>(state: after.StreamState): KStream<K, V, F> {
  return new KStream(state)
}
