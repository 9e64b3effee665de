/**
 * Brings back the bytes behind references. Where they are at hand, in the same synchronous step; where
 * they have to be re-read, as an enrichment that waits like any other: the record stands as a row and
 * the offset moves on.
 */
import { SchemaPending, type Serde } from '../serdes/serde.ts'
import { enrichSpec, type EnrichShape, type EnrichWork } from './enrich.ts'
import type { EnrichOptions } from './enrich-options.ts'
import { deserializeNow } from './deserialize.ts'
import type { FunctionEnricher } from './enricher.ts'
import type { Reference } from './payloads.ts'
import type { ProcessorContext, ProcessorSpec, SerdeUse } from './processor.ts'

/** A dereference as the topology declares it. */
export interface DereferenceDeclaration<K, V, T, Out> {
  readonly name: string
  readonly key: Serde<K>
  readonly value: Serde<V>
  /** How the bytes are read. */
  readonly payload: SerdeUse
  /** The reference in a value; null where it has none. */
  readonly select: (value: V) => Reference<T> | null
  /** The value with what the reference stands for. */
  readonly replace: (value: V, payload: T | null) => Out
  readonly options?: Pick<EnrichOptions<K, V, Out>, 'orderBy' | 'calls' | 'onFailure' | 'value'>
}

/** The processor of a dereference step. Records of one key keep their order. */
export function dereference<K, V, T, Out>(
  declaration: DereferenceDeclaration<K, V, T, Out>,
): ProcessorSpec<K, V, K, Out> {
  const { name, key, value, payload, options = {} } = declaration
  const shape = { kind: 'dereference', name, key, value, options, serdes: { bytes: payload } }
  // The value goes to the enricher as it is: its reference is resolved there, not before.
  return enrichSpec<K, V, Out>(shape as EnrichShape<K, V, Out>, (context) =>
    readerOf(declaration, context),
  )
}

function readerOf<K, V, T, Out>(
  { select, replace }: DereferenceDeclaration<K, V, T, Out>,
  { payloads, serde }: Pick<ProcessorContext<K, Out>, 'payloads' | 'serde'>,
): EnrichWork<K, V, Out> {
  const payload = serde<T>('bytes')
  const read = async (value: V, signal: AbortSignal): Promise<Out> => {
    const reference = select(value)
    if (reference === null) return replace(value, null)
    const bytes = await payloads.read(reference, signal)
    return replace(value, await deserializeNow(payload, bytes))
  }
  const enricher: FunctionEnricher<K, V, Out> = {
    kind: 'function',
    call: async (record, { signal }) => await read(record.value, signal),
  }
  const immediate = (value: V): Out | undefined => {
    const reference = select(value)
    if (reference === null) return replace(value, null)
    const bytes = payloads.peek(reference)
    if (bytes === undefined) return undefined
    try {
      return replace(value, payload.deserialize(bytes, 0, bytes.length))
    } catch (error) {
      if (error instanceof SchemaPending) return undefined
      throw error
    }
  }
  // A row is small, whatever the size of what its reference stands for.
  const fetchedBytes = (value: V): number => select(value)?.sizeBytes ?? 0
  return { enricher, immediate, fetchedBytes } as unknown as EnrichWork<K, V, Out>
}
