/**
 * A checked schema made runnable by avsc: what reads, writes and explains its values, and what reads
 * the values of another schema as this one's.
 */
import avsc from 'avsc'
import { asError } from '../model/errors.ts'
import type { BranchResolver } from './avro-composites.ts'
import { PlainArray, PlainMap, PlainRecord, PlainUnion, UnionResolver } from './avro-composites.ts'
import { Cursor } from './avro-cursor.ts'
import { badSchema } from './avro-schema.ts'
import type { CheckedSchema } from './avro-schema.ts'
import type { InnerType } from './avro-types.ts'
import {
  BIG_LONG,
  PLAIN_TYPES,
  PlainEnum,
  PlainFixed,
  UUID_STRING,
  UuidFixed,
  describeType,
  inner,
} from './avro-types.ts'
import { SerdeError } from './errors.ts'
import { excerpt, shorten } from './excerpt.ts'

/** What reads a value: a type its own, a resolver another schema's. */
export interface Readable {
  _read(cursor: Cursor): unknown
}

/** The first part of a value that its schema does not hold. */
export interface Problem {
  /** `shots[3].label`; empty for the value itself. */
  readonly path: string
  readonly expected: string
  readonly found: string
}

/**
 * Who uses a schema. A writer's is only read by way of a resolver, so that it may have unions whose
 * values JavaScript could not tell apart; a reader's may not.
 */
export type SchemaUse = 'reader' | 'writer'

/** A checked schema made runnable. */
export class AvroCodec implements Readable {
  readonly schema: CheckedSchema
  readonly #type: avsc.Type
  readonly #inner: InnerType

  /** Throws MILLRACE_BAD_SCHEMA, with the path, for what avsc refuses. */
  constructor(schema: CheckedSchema, use: SchemaUse) {
    this.schema = schema
    this.#type = typeOf(schema, use)
    this.#inner = inner(this.#type)
  }

  _read(cursor: Cursor): unknown {
    return this.#inner._read(cursor)
  }

  /** Throws UnfitValue, or whatever avsc's generated code does, for a value that does not fit. */
  write(cursor: Cursor, value: unknown): void {
    this.#inner._write(cursor, value)
  }

  /** What reads values of `writer`'s schema as values of this one. Throws MILLRACE_INCOMPATIBLE_SCHEMA. */
  reading(writer: AvroCodec): Readable {
    try {
      return resolver(this.#type, writer.#type, { ignoreNamespaces: true, registry: {} })
    } catch (error) {
      throw new SerdeError(
        'MILLRACE_INCOMPATIBLE_SCHEMA',
        `records of schema ${writer.schema.name} cannot be read as ${this.schema.name}: ` +
          `${shorten(asError(error).message, 300)}. ` +
          'Give each new field a default and each renamed one an alias',
        { cause: error },
      )
    }
  }

  /** The first part of `value` that does not fit, or undefined where all of it does. */
  problemOf(value: unknown): Problem | undefined {
    let problem: Problem | undefined
    this.#type.isValid(value, {
      errorHook(path: string[], found: unknown, expected: avsc.Type) {
        problem ??= {
          path: path.map(pathPart).join('').replace(/^\./, ''),
          expected: describeType(expected),
          found: excerpt(found),
        }
      },
    })
    return problem
  }
}

type AvscSchema = Parameters<typeof avsc.Type.forSchema>[0]

function typeOf(schema: CheckedSchema, use: SchemaUse): avsc.Type {
  const choice = new TypeChoice(schema, use)
  try {
    return avsc.Type.forSchema(schema.root as AvscSchema, {
      omitRecordMethods: true,
      wrapUnions: use === 'writer' ? 'always' : 'never',
      typeHook: (part, options) => choice.choose(part, options),
    })
  } catch (error) {
    throw error instanceof SerdeError ? error : badSchema('', asError(error).message, error)
  }
}

/** Puts our types in the place of avsc's, and paths on avsc's errors. */
class TypeChoice {
  readonly #schema: CheckedSchema
  readonly #use: SchemaUse
  /** The fixed that a UuidFixed is just being made of: avsc asks for it a second time. */
  readonly #wrapped = new Set<unknown>()

  constructor(schema: CheckedSchema, use: SchemaUse) {
    this.#schema = schema
    this.#use = use
  }

  choose(part: AvscSchema, options: unknown): avsc.Type | undefined {
    try {
      if (typeof part === 'string') return PLAIN_TYPES.get(part)
      if (Array.isArray(part)) {
        return this.#use === 'reader' ? new PlainUnion(part, options) : undefined
      }
      return this.#object(part, options)
    } catch (error) {
      if (error instanceof SerdeError) throw error
      const path = this.#schema.paths.get(part) ?? ''
      const why = shorten(asError(error).message, 300)
      throw badSchema(path, /ambiguous/.test(why) ? `${why}. ${ONE_OF_A_KIND}` : why, error)
    }
  }

  #object(part: AvscSchema, options: unknown): avsc.Type | undefined {
    const { type, logicalType, size } = part as {
      type: string
      logicalType?: string
      size?: number
    }
    switch (type) {
      case 'record':
      case 'error':
        return new PlainRecord(part, options)
      case 'array':
        return new PlainArray(part, options)
      case 'map':
        return new PlainMap(part, options)
      case 'enum':
        return new PlainEnum(part, options)
      case 'fixed':
        return logicalType === 'uuid' && size === 16
          ? this.#uuidFixed(part, options)
          : new PlainFixed(part, options)
      case 'long':
        return logicalType === 'bigint' ? BIG_LONG : PLAIN_TYPES.get(type)
      case 'string':
        return logicalType === 'uuid' ? UUID_STRING : PLAIN_TYPES.get(type)
      default:
        return PLAIN_TYPES.get(type)
    }
  }

  #uuidFixed(part: AvscSchema, options: unknown): avsc.Type {
    if (this.#wrapped.has(part)) return new PlainFixed(part, options)
    this.#wrapped.add(part)
    return new UuidFixed(part, options)
  }
}

const ONE_OF_A_KIND =
  'Two branches of a union whose values look alike (two records, a string and an enum, two numbers) ' +
  'cannot be told apart: use a record with one nullable field for each'

/** The options of avsc's createResolver: pairs of records under way or done, for schemas that contain themselves. */
interface ResolveOptions {
  readonly ignoreNamespaces: boolean
  readonly registry: Record<string, unknown>
}

function resolver(reader: avsc.Type, writer: avsc.Type, options: ResolveOptions): BranchResolver {
  const known = new Set(Object.keys(options.registry))
  try {
    if (isUnion(writer)) return unionResolver(reader, writer.types, options)
    const made = avsc.Type.prototype.createResolver.call(reader, writer, options)
    return made as unknown as BranchResolver
  } catch (error) {
    // What was begun since may hold on to a pair that failed, and a later branch must not find it.
    for (const pair of Object.keys(options.registry)) {
      if (!known.has(pair)) delete options.registry[pair]
    }
    throw error
  }
}

/**
 * avsc asks that a reader can read every branch of a writer's union; Avro asks it only of the branches
 * that come. A topic stays readable when its writers add a branch, up to the first record that has it.
 */
function unionResolver(
  reader: avsc.Type,
  branches: readonly avsc.Type[],
  options: ResolveOptions,
): BranchResolver {
  const resolved = branches.map((branch) => {
    try {
      return resolver(reader, branch, options)
    } catch (error) {
      return asError(error)
    }
  })
  const failure = resolved.find((branch) => branch instanceof Error)
  if (failure !== undefined && resolved.every((branch) => branch instanceof Error)) throw failure
  return new UnionResolver(reader, resolved)
}

function isUnion(type: avsc.Type): type is avsc.Type & { readonly types: readonly avsc.Type[] } {
  return type.typeName.startsWith('union')
}

function pathPart(part: string): string {
  if (/^\d+$/.test(part)) return `[${part}]`
  return /^\w+$/.test(part) ? `.${part}` : `[${JSON.stringify(shorten(part))}]`
}

/** avsc asks the parts of a type for their resolvers, and for the bytes of defaults: ours answer as above. */
const OUR_METHODS = {
  createResolver(this: avsc.Type, writer: avsc.Type, options: Partial<ResolveOptions>): object {
    const { ignoreNamespaces = true, registry = {} } = options
    return resolver(this, writer, { ignoreNamespaces, registry })
  },

  toBuffer(this: avsc.Type, value: unknown): Buffer {
    return encodeAlone(inner(this), value)
  },
}

for (const type of [
  PlainEnum,
  PlainFixed,
  UuidFixed,
  PlainArray,
  PlainMap,
  PlainUnion,
  PlainRecord,
]) {
  Object.assign(type.prototype, OUR_METHODS)
}
for (const type of [...PLAIN_TYPES.values(), BIG_LONG, UUID_STRING]) {
  Object.assign(Object.getPrototypeOf(type) as object, OUR_METHODS)
}

function encodeAlone(type: InnerType, value: unknown): Buffer {
  const cursor = new Cursor()
  type._write(cursor, value)
  const buffer = Buffer.alloc(cursor.pos)
  cursor.reset(buffer, 0, buffer.length)
  type._write(cursor, value)
  return buffer
}
