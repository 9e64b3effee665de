/**
 * The schemas that others wrote with, by their ids, and how each is read as the declared one. A
 * schema that is not here is asked for once, however many records wait for it; one that cannot be
 * read stays refused for good; one that the registry does not have is refused for a while, so that a
 * topic full of such records does not ask for each.
 */
import { asError, isMillraceError } from '../model/errors.ts'
import { AvroCodec } from './avro-codec.ts'
import type { Readable } from './avro-codec.ts'
import type { CheckedSchema } from './avro-schema.ts'
import { checkSchema } from './avro-schema.ts'
import { canonicalJson } from './canonical-json.ts'
import { SerdeError } from './errors.ts'
import type { SerdeContext } from './serde.ts'
import { SchemaPending } from './serde.ts'

/**
 * How long an id that the registry does not have is refused without asking again. Where no clock was
 * given, time does not pass: each record with that id asks.
 */
export const MISSING_SCHEMA_MS = 30_000

/** How many ids are remembered as missing or unreadable; the oldest is forgotten first. */
export const MAX_REFUSED_SCHEMAS = 1_000

/** The writers' schemas of one open serde. */
export class AvroWriters {
  readonly #codec: AvroCodec
  readonly #context: SerdeContext
  readonly #known = new Map<number, Writer>()
  readonly #refused = new Map<number, Refusal>()
  readonly #loading = new Map<number, Promise<void>>()

  constructor(codec: AvroCodec, context: SerdeContext) {
    this.#codec = codec
    this.#context = context
  }

  /** What reads values of schema `id`. Throws SchemaPending, or why the schema is of no use. */
  reading(id: number): Readable {
    const writer = this.#known.get(id)
    if (writer !== undefined) return writer.reading
    const refusal = this.#refused.get(id)
    if (refusal !== undefined && refusal.untilMs > this.#now()) throw refusal.error
    throw new SchemaPending(id, () => this.#load(id))
  }

  /** The writer's schema of an id that `reading` knows. */
  schema(id: number): CheckedSchema | undefined {
    return this.#known.get(id)?.schema
  }

  #load(id: number): Promise<void> {
    const loading = this.#loading.get(id) ?? this.#fetch(id).finally(() => this.#loading.delete(id))
    this.#loading.set(id, loading)
    return loading
  }

  async #fetch(id: number): Promise<void> {
    if (this.#known.has(id)) return
    let text: string
    try {
      text = await this.#context.registry.schemaById(id)
    } catch (error) {
      // A registry that cannot be reached is no answer and is asked again.
      if (!isMillraceError(error, 'MILLRACE_UNKNOWN_SCHEMA')) throw error
      throw this.#refuse(id, error, this.#now() + MISSING_SCHEMA_MS)
    }
    try {
      this.#known.set(id, this.#writer(text))
      this.#refused.delete(id)
    } catch (error) {
      throw this.#refuse(id, error, Infinity)
    }
  }

  #writer(text: string): Writer {
    const schema = checkSchema(parsed(text))
    const own = this.#codec.schema
    if (canonicalJson(schema.root) === canonicalJson(own.root)) {
      return { schema, reading: this.#codec }
    }
    return { schema, reading: this.#codec.reading(new AvroCodec(schema, 'writer')) }
  }

  #refuse(id: number, cause: unknown, untilMs: number): SerdeError {
    const { topic, role } = this.#context
    const code = cause instanceof SerdeError ? cause.code : 'MILLRACE_UNKNOWN_SCHEMA'
    const error = new SerdeError(
      code,
      `cannot read a ${role} of ${topic} that was written with schema ${id}: ${asError(cause).message}`,
      { cause, schemaId: id },
    )
    const [oldest] = this.#refused.keys()
    if (oldest !== undefined && this.#refused.size >= MAX_REFUSED_SCHEMAS)
      this.#refused.delete(oldest)
    this.#refused.set(id, { error, untilMs })
    return error
  }

  /** Without a clock a missing schema is never refused from memory. */
  #now(): number {
    return this.#context.clock?.monotonic() ?? Number.MAX_VALUE
  }
}

interface Writer {
  readonly schema: CheckedSchema
  readonly reading: Readable
}

interface Refusal {
  readonly error: SerdeError
  readonly untilMs: number
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    // A registry may keep a bare type name without quotes.
    return text
  }
}
