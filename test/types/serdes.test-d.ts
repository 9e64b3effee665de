/** What the types of serdes must be, and what must not compile. The compiler alone runs this file. */
import { avro } from '../../serdes/avro.ts'
import type { AvroType } from '../../serdes/avro.ts'
import type { AvroSchema } from '../../serdes/avro-type.ts'
import { json } from '../../serdes/json.ts'
import type { bytes, int32, int64, text } from '../../serdes/primitives.ts'
import type { OpenSerde, Serde } from '../../serdes/serde.ts'

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
function same<A, B>(..._proof: Equal<A, B> extends true ? [] : [never, A, B]): void {}
type Of<S> = S extends Serde<infer T> ? T : never

// One by one.
same<AvroType<'null'>, null>()
same<AvroType<'boolean'>, boolean>()
same<AvroType<'int' | 'long' | 'float' | 'double'>, number>()
same<AvroType<'bytes'>, Buffer>()
same<AvroType<'string'>, string>()
same<AvroType<{ type: 'long'; logicalType: 'bigint' }>, bigint>()
same<AvroType<{ type: 'long'; logicalType: 'timestamp-millis' }>, number>()
same<AvroType<{ type: 'string'; logicalType: 'uuid' }>, string>()
same<AvroType<{ type: 'fixed'; name: 'F'; size: 16 }>, Buffer>()
same<AvroType<{ type: 'fixed'; name: 'F'; size: 16; logicalType: 'uuid' }>, string>()
same<AvroType<{ type: 'enum'; name: 'E'; symbols: ['A', 'B'] }>, 'A' | 'B'>()
same<AvroType<readonly ['null', 'string', 'bytes']>, null | string | Buffer>()
same<AvroType<{ type: 'array'; items: readonly ['null', 'int'] }>, readonly (number | null)[]>()
same<AvroType<{ type: 'map'; values: 'long' }>, { readonly [key: string]: number }>()

// What nobody knows at compile time is unknown, not any.
same<AvroType<AvroSchema>, unknown>()
same<AvroType<string>, unknown>()

// A constant and a type of one name, one used inside the other.
const Shot = {
  type: 'record',
  name: 'Shot',
  namespace: 'millrace.video',
  fields: [
    { name: 'startUs', type: 'long' },
    { name: 'kind', type: { type: 'enum', name: 'Kind', symbols: ['CUT', 'FADE'] } },
  ],
} as const
type Shot = AvroType<typeof Shot>
same<Shot, { readonly startUs: number; readonly kind: 'CUT' | 'FADE' }>()

const Annotation = {
  type: 'record',
  name: 'Annotation',
  fields: [
    { name: 'first', type: Shot },
    { name: 'shots', type: { type: 'array', items: Shot } },
    { name: 'byName', type: ['null', 'millrace.video.Shot'], default: null },
    { name: 'kind', type: 'Kind' },
  ],
} as const
type Annotation = AvroType<typeof Annotation>
same<
  Annotation,
  {
    readonly first: Shot
    readonly shots: readonly Shot[]
    readonly byName: Shot | null
    readonly kind: 'CUT' | 'FADE'
  }
>()

// Inline, without `as const`.
const inline = avro({
  type: 'record',
  name: 'Click',
  fields: [
    { name: 'url', type: 'string' },
    { name: 'at', type: ['null', 'long'] },
  ],
})
same<Of<typeof inline>, { readonly url: string; readonly at: number | null }>()

// A record that contains itself.
const tree = avro({
  type: 'record',
  name: 'Tree',
  fields: [{ name: 'kids', type: { type: 'array', items: 'Tree' } }],
})
declare const openTree: OpenSerde<Of<typeof tree>>
openTree.serialize({ kids: [{ kids: [] }] })
// @ts-expect-error -- a kid is a tree, too
openTree.serialize({ kids: [{ kids: [1] }] })

// The others.
same<Of<typeof text>, string>()
same<Of<typeof bytes>, Buffer>()
same<Of<typeof int32>, number>()
same<Of<typeof int64>, bigint>()
const checked = json((value): value is 'a' => value === 'a')
same<Of<typeof checked>, 'a'>()

declare const open: OpenSerde<Annotation>
declare const shot: Shot
open.serialize({ first: shot, shots: [shot], byName: null, kind: 'CUT' })
// @ts-expect-error -- a field is missing
open.serialize({ first: shot, shots: [shot], byName: null })
// @ts-expect-error -- not one of the symbols
open.serialize({ first: shot, shots: [shot], byName: null, kind: 'WIPE' })
// @ts-expect-error -- a long is a number
open.serialize({ first: { startUs: 1n, kind: 'CUT' }, shots: [], byName: null, kind: 'CUT' })
// @ts-expect-error -- values are not changed in place
open.deserialize(Buffer.alloc(0), 0, 0).kind = 'CUT'

// @ts-expect-error -- an array needs items
avro({ type: 'array' })
// @ts-expect-error -- a record needs fields
avro({ type: 'record', name: 'R' })
// @ts-expect-error -- a schema is no number
avro(1)

const misspelt = avro({ type: 'record', name: 'R', fields: [{ name: 'a', type: 'strin' }] })
declare const openMisspelt: OpenSerde<Of<typeof misspelt>>
// @ts-expect-error -- no Avro type of this name in the schema
openMisspelt.serialize({ a: 'text' })
