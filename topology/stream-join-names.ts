/**
 * The names of a stream–stream join's steps and stores. They are Kafka Streams' own, and so are the
 * indices: five are taken, also where the author gave a name; a store is named after the index of its
 * side's join. Source: KStreamImplJoin and OuterStreamJoinStoreFactory of Kafka Streams 4.1.
 */
import type { StreamJoinNames } from '../processors/stream-join.ts'
import { PREFIX, type Naming } from './naming.ts'

/** Which sides' records come out alone where they meet nobody. */
export type JoinKind = 'inner' | 'left' | 'outer'

/** Everything about a join that has a name. */
export interface NamedStreamJoin {
  readonly steps: StreamJoinNames
  readonly stores: { readonly left: string; readonly right: string; readonly unjoined: string }
}

/** Takes the names of a join; `store` begins those of its stores. */
export function streamJoinNames(
  naming: Naming,
  kind: JoinKind,
  { name, store }: { readonly name?: string; readonly store?: string },
): NamedStreamJoin {
  const given = (suffix: string): string | undefined =>
    name === undefined ? undefined : name + suffix
  const [left, right] = SIDES[kind]
  const leftWindow = naming.step(PREFIX.windowed, given('-this-windowed'))
  const rightWindow = naming.step(PREFIX.windowed, given('-other-windowed'))
  const leftMade = naming.step(left.prefix)
  const rightMade = naming.step(right.prefix)
  const steps = {
    leftWindow,
    rightWindow,
    leftJoin: given(left.suffix) ?? leftMade,
    rightJoin: given(right.suffix) ?? rightMade,
    merge: naming.step(PREFIX.merge, given('-merge')),
  }
  const unjoinedMade = PREFIX.outerShared + leftMade.slice(left.prefix.length)
  const stored = (made: string, suffix: string): string =>
    `${store === undefined ? made : store + suffix}-store`
  const shared = kind === 'outer' ? '-outer-shared-join' : '-left-shared-join'
  const stores = {
    left: stored(leftMade, left.suffix),
    right: stored(rightMade, right.suffix),
    unjoined: stored(unjoinedMade, shared),
  }
  return { steps, stores }
}

const INNER_LEFT = { prefix: PREFIX.joinThis, suffix: '-this-join' } as const
const OUTER_LEFT = { prefix: PREFIX.outerThis, suffix: '-outer-this-join' } as const
const INNER_RIGHT = { prefix: PREFIX.joinOther, suffix: '-other-join' } as const
const OUTER_RIGHT = { prefix: PREFIX.outerOther, suffix: '-outer-other-join' } as const

/** A side is called outer where records of the other one come out alone. */
const SIDES = {
  inner: [INNER_LEFT, INNER_RIGHT],
  left: [INNER_LEFT, OUTER_RIGHT],
  outer: [OUTER_LEFT, OUTER_RIGHT],
} as const
