/** A stream whose values stay in the log: references in their place, and what they stand for put back. */
import { byReference } from '../processors/by-reference.ts'
import { dereference } from '../processors/dereference.ts'
import type { Reference } from '../processors/payloads.ts'
import { referenceSerde } from '../processors/reference-serde.ts'
import type { Serde } from '../serdes/serde.ts'
import { HIDDEN_PREFIX } from './naming.ts'
import type { DereferenceStep, ReadingStep } from './options.ts'
import { keySerde, payloadOf, topicOf, valueSerde } from './requirements.ts'
import { valueChanged, type StreamState } from './stream-state.ts'

/** Adds the step that makes references; the state of the stream that comes out. */
export function attachByReference<K, V>(state: StreamState, given?: string): StreamState {
  const { draft, node } = state
  const name = draft.naming.hidden(HIDDEN_PREFIX.byReference, given)
  const topic = topicOf(state, name)
  const serde = valueSerde(state, name)
  draft.addProcessor({ spec: byReference<K, V>({ name }), parents: [node], hidden: true })
  const payload = { serde, topic, role: 'value' as const }
  return { ...valueChanged(state, name, referenceSerde<V>()), payload }
}

/** How references are resolved: those that are whole values, or one that `select` finds in each. */
export type DereferenceWish<K, V, T, Out> = ReadingStep<K, V, Out> &
  Partial<Omit<DereferenceStep<K, V, T, Out>, 'from'>>

/** Adds the step that resolves references to values of `from`; the state of the stream that comes out. */
export function attachDereference<K, V, T, Out>(
  state: StreamState,
  from: StreamState,
  wish: DereferenceWish<K, V, T, Out>,
): StreamState {
  const { draft, node } = state
  const { name: givenName, select, replace, value: given, ...reading } = wish
  const name = draft.naming.hidden(HIDDEN_PREFIX.dereference, givenName)
  const payload = payloadOf(from, name)
  // Without `select` the types let only streams of references in, whose payload is the result.
  const value = (select === undefined ? payload.serde : given) as Serde<Out> | undefined
  const spec = dereference<K, V, T, Out>({
    name,
    key: keySerde(state, name),
    value: valueSerde(state, name),
    payload,
    select: select ?? ((reference) => reference as Reference<T>),
    replace: replace ?? ((_reference, read) => read as Out),
    options: value === undefined ? reading : { ...reading, value },
  })
  draft.addProcessor({ spec, parents: [node], hidden: true })
  return valueChanged(state, name, value)
}
