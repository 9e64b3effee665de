/** What a step asks of the streams it is attached to. Each answers with what the step can go on with, and notes what is missing. */
import type { SerdeUse } from '../processors/processor.ts'
import { referenceSerde } from '../processors/reference-serde.ts'
import type { TimedStoreSpec } from '../state/store.ts'
import type { AnySerde } from './graph.ts'
import type { StreamState } from './stream-state.ts'

/** The key's serde that a step uses: the one given to it in `option`, else the stream's. */
export function keySerde(state: StreamState, step: string, given?: AnySerde): AnySerde {
  return given ?? state.key ?? missingSerde(state, step, { role: 'key', option: 'key' })
}

/** The value's serde that a step uses: the one given to it in `option`, else the stream's. */
export function valueSerde(
  state: StreamState,
  step: string,
  { given, option }: { readonly given?: AnySerde | undefined; readonly option?: string } = {},
): AnySerde {
  return given ?? state.value ?? missingSerde(state, step, { role: 'value', option })
}

/** Notes a store that forgets windows before their last record can come. */
export function checkRetention(
  { draft }: StreamState,
  { name, retentionMs }: Pick<TimedStoreSpec, 'name' | 'retentionMs'>,
  { leastMs, what }: { readonly leastMs: number; readonly what: string },
): void {
  if (retentionMs >= leastMs) return
  draft.report({
    code: 'MILLRACE_TOPOLOGY_ILLEGAL_RETENTION',
    place: name,
    message:
      `it keeps ${what} for ${retentionMs} ms, but they take records for ${leastMs}, grace included. ` +
      'Give a retention of at least that, or none',
  })
}

/** The nodes a step of two streams is attached to. Notes a stream of another topology, and leaves it out. */
export function parentsOf(state: StreamState, other: StreamState, step: string): readonly string[] {
  if (state.draft === other.draft) return [state.node, other.node]
  state.draft.report({
    code: 'MILLRACE_TOPOLOGY_FOREIGN_STREAM',
    place: step,
    message:
      'it takes a stream of another topology. Declare both in one topology, or write the other to a ' +
      'topic and read that here',
  })
  return [state.node]
}

/** Notes a join whose sides are one and the same stream. */
export function twoSides(state: StreamState, other: StreamState, step: string): void {
  if (state.node !== other.node) return
  state.draft.report({
    code: 'MILLRACE_TOPOLOGY_SELF_JOIN',
    place: step,
    message:
      `both of its sides are ${state.node}, and it could not tell them apart. Use mapValues for what ` +
      'concerns one record',
  })
}

/** The topic whose values a reference can stand for. Notes a stream that is not a topic as it is. */
export function topicOf({ draft, topic, node }: StreamState, step: string): string {
  if (topic !== undefined) return topic
  draft.report({
    code: 'MILLRACE_TOPOLOGY_NOT_A_SOURCE',
    place: step,
    message:
      `it stands behind ${node}, but a reference stands for a value of the log as it is. Call ` +
      'byReference() directly on stream(topic)',
  })
  return node
}

/** How the values are read that a stream's references stand for. */
export function payloadOf({ draft, payload, node }: StreamState, step: string): SerdeUse {
  if (payload !== undefined) return payload
  draft.report({
    code: 'MILLRACE_TOPOLOGY_NOT_A_REFERENCE',
    place: step,
    message:
      `it is not known what the values of ${node} are references to. Take the stream of byReference() ` +
      'itself, or dereference these with { from }, which says what stream that is',
  })
  return { serde: MISSING, topic: node, role: 'value' }
}

/** How the values are read behind references, or undefined where the stream carries values themselves. */
export function payloadIfAny(state: StreamState, step: string): SerdeUse | undefined {
  const isReference = state.payload !== undefined || state.value?.name === referenceSerde().name
  return isReference ? payloadOf(state, step) : undefined
}

function missingSerde(
  { draft, node }: StreamState,
  step: string,
  { role, option }: { readonly role: 'key' | 'value'; readonly option: string | undefined },
): AnySerde {
  const here = option === undefined ? '' : `, or this one { ${option}: serde }`
  draft.report({
    code: 'MILLRACE_TOPOLOGY_SERDE_MISSING',
    place: step,
    message:
      `the ${role} that comes from ${node} has no serde. Give the step that made the ${role} ` +
      `{ ${role}: serde }${here}`,
  })
  return MISSING
}

/** Stands where a serde is missing, in a draft that can never become a topology. */
const MISSING: AnySerde = Object.freeze({
  name: 'missing',
  open: (): Promise<never> => Promise.reject(new TypeError('a missing serde was opened')),
})
