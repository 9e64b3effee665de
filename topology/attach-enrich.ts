/** A slow service that is asked about each record. */
import type { EnrichOptions } from '../processors/enrich-options.ts'
import { enrich } from '../processors/enrich.ts'
import type { Enricher } from '../processors/enricher.ts'
import type { Dereferenced } from '../processors/payloads.ts'
import { byKey } from './repartition.ts'
import { keySerde, payloadIfAny, valueSerde } from './requirements.ts'
import { valueChanged, type StreamState } from './stream-state.ts'

/** Adds the step; the state of the stream that comes out. */
export function attachEnrich<K, V, R>(
  given: StreamState,
  name: string,
  step: {
    readonly enricher: Enricher<K, Dereferenced<V>, R>
    readonly options: EnrichOptions<K, Dereferenced<V>, R>
  },
): StreamState {
  const { enricher, options } = step
  const keyed = options.orderBy !== 'partition' && options.orderBy !== 'none'
  const payload = payloadIfAny(given, name)
  const serdes = { key: keySerde(given, name), value: valueSerde(given, name) }
  const state = keyed ? byKey(given, () => ({ prefix: name, ...serdes })) : given
  const behind = payload === undefined ? {} : { payload }
  const spec = enrich<K, V, R>({ name, enricher, options, ...serdes, ...behind })
  state.draft.addProcessor({ spec, parents: [state.node], keyed })
  return valueChanged(state, name, options.value ?? enricher.value)
}
