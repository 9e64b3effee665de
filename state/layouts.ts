/** Which layout a kind of store has. */
import { joinWindowLayout } from './join-window-store.ts'
import { sessionLayout } from './session-store.ts'
import type { KeyValueStoreSpec, TimedStoreSpec } from './store.ts'
import type { StoreLayout } from './store-layout.ts'
import { windowLayout } from './window-store.ts'

/** As much of a spec as says how a store is kept; one without a kind is a key-value store. */
export type KeptStore =
  | (WithoutSerdes<Omit<KeyValueStoreSpec<unknown, unknown>, 'kind'>> & {
      readonly kind?: 'key-value'
    })
  | WithoutSerdes<TimedStoreSpec>

type WithoutSerdes<Spec> = Spec extends unknown ? Omit<Spec, 'key' | 'value'> : never

/** The layout of a store; undefined for a key-value store, whose entries are its records. RangeError where a duration of the spec is none. */
export function layoutOf(spec: KeptStore): StoreLayout | undefined {
  switch (spec.kind) {
    case undefined:
    case 'key-value':
      return undefined
    case 'window':
      return windowLayout(spec)
    case 'join-window':
      return joinWindowLayout(spec)
    case 'session':
      return sessionLayout(spec)
    default:
      return spec satisfies never
  }
}
