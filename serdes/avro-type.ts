/**
 * Avro schemas as TypeScript sees them: the shape of a schema literal, and the type of the values it
 * describes, computed by the compiler from the literal itself. There is no code generator and no
 * second declaration that could drift from the schema.
 */

/** The types of Avro that have no parts. */
export type AvroPrimitive =
  'null' | 'boolean' | 'int' | 'long' | 'float' | 'double' | 'bytes' | 'string'

/** A schema as a JSON literal (`as const`): a primitive or an earlier name, an object, or a union. */
export type AvroSchema = string | AvroObject | readonly AvroSchema[]

/** A schema that is written as an object. */
export type AvroObject = AvroAnnotated | AvroRecord | AvroEnum | AvroFixed | AvroArray | AvroMap

/** A primitive with attributes: `{ type: 'long', logicalType: 'bigint' }`. */
export interface AvroAnnotated {
  readonly type: AvroPrimitive
  /** `uuid` on a string checks the text; `bigint` on a long reads a bigint; others are kept for other readers. */
  readonly logicalType?: string
}

/** A record: named fields in an order. */
export interface AvroRecord extends AvroNamed {
  readonly type: 'record'
  readonly fields: readonly AvroField[]
}

/** One field of a record. */
export interface AvroField {
  readonly name: string
  readonly type: AvroSchema
  readonly doc?: string
  /** What a reader takes where the writer had no such field. Of a union it belongs to the first branch. */
  readonly default?: unknown
  /** Names the field had in earlier schemas. */
  readonly aliases?: readonly string[]
  readonly order?: 'ascending' | 'descending' | 'ignore'
}

/** One of a few symbols; read as the union of their literals. */
export interface AvroEnum extends AvroNamed {
  readonly type: 'enum'
  readonly symbols: readonly string[]
  /** What a reader takes for a symbol that it does not know. */
  readonly default?: string
}

/** A fixed number of bytes. With logicalType `uuid` and size 16, a UUID in text form. */
export interface AvroFixed extends AvroNamed {
  readonly type: 'fixed'
  readonly size: number
  readonly logicalType?: string
}

/** Any number of items of one schema. */
export interface AvroArray {
  readonly type: 'array'
  readonly items: AvroSchema
}

/** Any number of values of one schema under text keys. */
export interface AvroMap {
  readonly type: 'map'
  readonly values: AvroSchema
}

interface AvroNamed {
  readonly name: string
  readonly namespace?: string
  readonly doc?: string
  /** Names the type had in earlier schemas. */
  readonly aliases?: readonly string[]
}

/** The type of the values of schema S; AvroType in avro.ts is its public name and says more. */
export type ValueOfSchema<S> = ValueOf<S, NamedIn<S>>

interface PrimitiveValues {
  readonly null: null
  readonly boolean: boolean
  readonly int: number
  readonly long: number
  readonly float: number
  readonly double: number
  readonly bytes: Buffer
  readonly string: string
}

type ValueOf<S, Named> = IsWide<S> extends true ? unknown : ValueOfLiteral<S, Named>

/** Whether S is no literal: computing on would not end. */
type IsWide<S> = [AvroSchema] extends [S] ? true : [string] extends [S] ? true : false

type ValueOfLiteral<S, Named> = S extends AvroPrimitive
  ? PrimitiveValues[S]
  : S extends string
    ? ValueByName<S, Named>
    : S extends readonly (infer Branch)[]
      ? ValueOf<Branch, Named>
      : ObjectValue<S, Named>

type ObjectValue<S, Named> = S extends { readonly type: 'record'; readonly fields: infer Fields }
  ? RecordValue<Fields, Named>
  : S extends { readonly type: 'enum'; readonly symbols: readonly (infer Symbols)[] }
    ? Symbols
    : S extends { readonly type: 'array'; readonly items: infer Items }
      ? readonly ValueOf<Items, Named>[]
      : S extends { readonly type: 'map'; readonly values: infer Values }
        ? { readonly [key: string]: ValueOf<Values, Named> }
        : S extends { readonly type: 'fixed' }
          ? S extends { readonly logicalType: 'uuid' }
            ? string
            : Buffer
          : S extends { readonly type: 'long'; readonly logicalType: 'bigint' }
            ? bigint
            : S extends { readonly type: infer Type extends AvroPrimitive }
              ? PrimitiveValues[Type]
              : { readonly 'not an Avro schema': S }

type RecordValue<Fields, Named> = Fields extends readonly AvroField[]
  ? { readonly [F in Fields[number] as F['name']]: ValueOf<F['type'], Named> }
  : never

/** What a name stands for: the type of that full name, or of that last part of a full name. */
type ValueByName<Name extends string, Named> = [Definition<Name, Named>] extends [never]
  ? { readonly 'no Avro type of this name in the schema': Name }
  : ValueOf<Definition<Name, Named>, Named>

type Definition<Name extends string, Named> = Named extends {
  readonly name: infer Own extends string
}
  ? Name extends Own | FullName<Named>
    ? Named
    : Own extends `${string}.${Name}`
      ? Named
      : Name extends `${string}.${Own}`
        ? Named extends { readonly namespace: string }
          ? never
          : Named
        : never
  : never

type FullName<Named> = Named extends {
  readonly name: infer Own extends string
  readonly namespace: infer Space extends string
}
  ? `${Space}.${Own}`
  : never

/** All named types inside a schema, as a union of their schemas. */
type NamedIn<S> = IsWide<S> extends true ? never : NamedInLiteral<S>

type NamedInLiteral<S> = S extends readonly (infer Branch)[]
  ? NamedIn<Branch>
  : S extends { readonly type: 'record'; readonly fields: readonly (infer Field)[] }
    ? S | (Field extends { readonly type: infer Type } ? NamedIn<Type> : never)
    : S extends { readonly type: 'enum' | 'fixed' }
      ? S
      : S extends { readonly type: 'array'; readonly items: infer Items }
        ? NamedIn<Items>
        : S extends { readonly type: 'map'; readonly values: infer Values }
          ? NamedIn<Values>
          : never
