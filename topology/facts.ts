/**
 * What the compiler knows about a stream beside the types of its key and value. A stream carries these
 * facts as a type parameter that has no value at run time, so that a call that can only be wrong does
 * not compile, with a sentence that says why. Where the compiler cannot know ('maybe', or a stream
 * typed without facts) it lets the call pass, and validation says the same before anything starts.
 */
import type { Reference } from '../processors/payloads.ts'

/** Whether a stream has a serde. */
export type Knowledge = 'known' | 'unknown' | 'maybe'

/** The facts of a stream. */
export interface StreamFacts {
  readonly key: Knowledge
  readonly value: Knowledge
  /** Whether all records of one key are in one partition: true of a topic, and until a step changes the key. */
  readonly partitioning: 'by-key' | 'key-changed'
  /** Whether records are as the topic has them, or went through a step. */
  readonly place: 'topic' | 'step'
}

/** Facts put together. */
export interface Facts<
  Key extends Knowledge,
  Value extends Knowledge,
  Partitioning extends StreamFacts['partitioning'],
  Place extends StreamFacts['place'] = 'step',
> {
  readonly key: Key
  readonly value: Value
  readonly partitioning: Partitioning
  readonly place: Place
}

/** The facts of a stream that comes from a topic. */
export type SourceFacts = Facts<'known', 'known', 'by-key', 'topic'>

/** Behind a step that leaves key and value alone. */
export type Passed<F extends StreamFacts> = Facts<F['key'], F['value'], F['partitioning']>

/** Behind a step that changes the value, with options of type O. */
export type ValueChanged<F extends StreamFacts, O> = Facts<
  F['key'],
  Stated<O, 'value'>,
  F['partitioning']
>

/** Behind a step that joins by key, with options of type O. */
export type Joined<F extends StreamFacts, O> = Facts<F['key'], Stated<O, 'value'>, 'by-key'>

/** Behind a step that brings records of one key together, or keeps rows by key, and so was given both serdes. */
export type Keyed = Facts<'known', 'known', 'by-key'>

/** Behind a step that changes the key, with options of type O. */
export type KeyChanged<F extends StreamFacts, O> = Facts<
  Stated<O, 'key'>,
  F['value'],
  'key-changed'
>

/** Behind a step that changes key and value, with options of type O. */
export type BothChanged<O> = Facts<Stated<O, 'key'>, Stated<O, 'value'>, 'key-changed'>

/** Behind a step that takes the records of two streams. */
export type Merged<F extends StreamFacts, G extends StreamFacts> = Facts<
  'maybe',
  'maybe',
  F['partitioning'] | G['partitioning']
>

/** Behind a step whose results have a serde of their own, or none: only the running program can tell. */
export type Resolved<F extends StreamFacts> = Facts<F['key'], 'maybe', F['partitioning']>

/** Behind `byReference`: a reference has a serde. */
export type Referenced<F extends StreamFacts> = Facts<F['key'], 'known', F['partitioning']>

/** Whether options of type O give the serde `P`. */
export type Stated<O, P extends 'key' | 'value'> = O extends { readonly [Q in P]: object }
  ? 'known'
  : P extends keyof O
    ? 'maybe'
    : 'unknown'

/** `unknown` (any `this` will do), or the sentence where the fact is certain. */
type Unless<Fact, Certain, Sentence extends string> = [Fact] extends [Certain] ? Sentence : unknown

/**
 * What a step asks of a stream that counts on all records of one key being in one task. Where a step
 * changed the key, its records go through a repartition topic first, which needs both serdes.
 */
export type ByKey<F extends StreamFacts> = [F['partitioning']] extends ['key-changed']
  ? [F['key']] extends ['unknown']
    ? 'records go through a repartition topic, for a step changed the key; the key has no serde: give that step { key: serde }'
    : [F['value']] extends ['unknown']
      ? 'records go through a repartition topic, for a step changed the key; the value has no serde: give the step that made it { value: serde }'
      : unknown
  : unknown

/** What a step by key asks that takes the key's serde from the stream. */
export type ByKeyWithSerde<F extends StreamFacts> = [F['key']] extends ['unknown']
  ? 'the key has no serde since a step changed it: give that step { key: serde }, or pass it here'
  : ByKey<F>

/** What a step asks that keeps values of the stream. */
export type ValueSerde<F extends StreamFacts> = Unless<
  F['value'],
  'unknown',
  'the value has no serde since a step changed it: pass { value: serde } here or to that step'
>

/** What `dereference` asks of the values. */
export type OfReferences<V> = [V] extends [Reference | null]
  ? unknown
  : 'the values are no references: say where they hold one with { from, select, replace }'

/** What `byReference` asks of a stream. */
export type AtTopic<F extends StreamFacts> = Unless<
  F['place'],
  'step',
  'a reference stands for a value of the log as it is: call byReference() directly on stream(topic)'
>

/** What a step asks that takes both serdes from the stream. */
export type Serdes<F extends StreamFacts> = [F['key']] extends ['unknown']
  ? 'the key has no serde since a step changed it: give that step { key: serde }'
  : [F['value']] extends ['unknown']
    ? 'the value has no serde since a step changed it: give that step { value: serde }'
    : unknown

/** What a sink asks where it is given no options. */
export type SinkSerdes<F extends StreamFacts> = [F['key']] extends ['unknown']
  ? 'the key has no serde since a step changed it: pass { key: serde } here or to that step'
  : [F['value']] extends ['unknown']
    ? 'the value has no serde since a step changed it: pass { value: serde } here or to that step'
    : unknown

/** The serdes that a sink's options have to give. */
export type SerdesNeeded<F extends StreamFacts> = Needed<F['key'], 'key'> &
  Needed<F['value'], 'value'>

/** The serde that a group's options have to give where the key is new. */
export type ValueNeeded<F extends StreamFacts> = Needed<F['value'], 'value'>

/** The serdes that a group's options have to give. */
export type GroupSerdesNeeded<F extends StreamFacts> = Needed<F['key'], 'key'> &
  RepartitionNeeded<F, F['value'], 'value'>

/** The serdes that a stream's options have to give where it joins a table. */
export type TableJoinSerdesNeeded<F extends StreamFacts> = RepartitionNeeded<F, F['key'], 'key'> &
  RepartitionNeeded<F, F['value'], 'left'>

/** The option that has to be there where records go through a repartition topic. */
type RepartitionNeeded<F extends StreamFacts, Fact, P extends string> = [
  F['partitioning'],
] extends ['key-changed']
  ? Needed<Fact, P>
  : unknown

/** The serdes that a join's options have to give. */
export type JoinSerdesNeeded<F extends StreamFacts, G extends StreamFacts> = Needed<
  F['key'],
  'key'
> &
  Needed<F['value'], 'left'> &
  Needed<G['value'], 'right'>

/** The option that has to be there where the stream has no such serde; its type is said elsewhere. */
type Needed<Fact, P extends string> = [Fact] extends ['unknown']
  ? { readonly [Q in P]: unknown }
  : unknown
