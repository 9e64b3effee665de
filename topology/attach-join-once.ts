/** Two streams in which each key comes once, joined. */
import { joinOnce, type JoinOnceDeclaration } from '../processors/join-once.ts'
import type { JoinOnceStep } from './options.ts'
import { inEqualPartitions } from './repartition.ts'
import { keySerde, parentsOf, twoSides, valueSerde } from './requirements.ts'
import { valueChanged, type StreamState } from './stream-state.ts'

/** Adds the join; the state of the stream that comes out. */
export function attachJoinOnce<K, L, R, Out>(
  [left, right]: readonly [StreamState, StreamState],
  name: string,
  step: JoinOnceStep<K, L, R, Out> & Pick<JoinOnceDeclaration<K, L, R, Out>, 'join'>,
): StreamState {
  const { key: givenKey, left: givenLeft, right: givenRight, value, join, ...options } = step
  const serdes = {
    key: keySerde(left, name, givenKey),
    left: valueSerde(left, name, { given: givenLeft, option: 'left' }),
    right: valueSerde(right, name, { given: givenRight, option: 'right' }),
  }
  twoSides(left, right, name)
  const [here, there] = inEqualPartitions([left, right], name, serdes)
  const parents = parentsOf(here, there, name)
  const spec = joinOnce<K, L, R, Out>({ name, ...serdes, join, options })
  here.draft.addProcessor({ spec, parents, keyed: true })
  return valueChanged(here, name, value)
}
