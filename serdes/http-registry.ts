/**
 * A schema registry behind Confluent's HTTP API, which Karapace, Redpanda and Apicurio speak as well.
 *
 * An id names one schema for ever, so what was fetched once is never fetched again; whoever asks for
 * the same thing at the same time shares one request; an id that the registry does not have is refused
 * from memory for a while. A schema that refers to others is handed out whole, with their named types
 * in it. Credentials appear in no message, whatever goes wrong.
 */
import type { Clock } from '../model/clock.ts'
import { eitherSignal } from '../model/either-signal.ts'
import { isMillraceError } from '../model/errors.ts'
import { badSchema } from './avro-schema.ts'
import { canonicalJson } from './canonical-json.ts'
import { SerdeError } from './errors.ts'
import { excerpt, quote } from './excerpt.ts'
import { RegistryAccess, misconfigured } from './http-registry-access.ts'
import { badAnswer, isMissing, refusalOf, unlike } from './http-registry-answers.ts'
import type { Answer } from './http-registry-answers.ts'
import type {
  CallOptions,
  Compatibility,
  CompatibilityLevel,
  HttpRegistry,
  HttpRegistryOptions,
  RegisteredSchema,
  SchemaOptions,
  SchemaReference,
} from './http-registry-contract.ts'
import { HTTP_REGISTRY_LIMITS, rememberIn } from './http-registry-limits.ts'
import type { HttpRegistryLimits } from './http-registry-limits.ts'
import { RegistryRequests } from './http-registry-requests.ts'
import type { Question } from './http-registry-requests.ts'
import type { Shape, StoredSchema } from './http-registry-shapes.ts'
import * as shapes from './http-registry-shapes.ts'
import { inlineReferences } from './schema-references.ts'
import { SingleFlight } from './single-flight.ts'

/**
 * The registry at `url`, or at several `urls` that are tried in turn. Nothing is asked before it is
 * used. Throws MILLRACE_REGISTRY_MISCONFIGURED for addresses and credentials that cannot be used; its
 * methods reject with MILLRACE_REGISTRY_UNREACHABLE (which the runtime tries again), _UNAUTHORIZED,
 * _REFUSED, _BAD_ANSWER and what each of them says.
 *
 * @example
 * httpRegistry({ url: 'http://registry:8081', clock: systemClock() })
 */
export function httpRegistry(options: HttpRegistryOptions): HttpRegistry {
  return new RegistryClient(options)
}

/** What is asked; the signal is the client's business. */
type Ask = Omit<Question, 'signal'>

interface Refusal {
  readonly error: SerdeError
  readonly untilMs: number
}

class RegistryClient implements HttpRegistry {
  readonly #access: RegistryAccess
  readonly #clock: Clock
  readonly #limits: HttpRegistryLimits
  readonly #requests: RegistryRequests
  readonly #signal: AbortSignal | undefined
  readonly #autoRegister: boolean
  /** Asked for with each registration and look-up. */
  readonly #query: string
  readonly #ids = new Map<string, number>()
  readonly #schemas = new Map<number, string>()
  readonly #refused = new Map<number, Refusal>()
  readonly #registering = new SingleFlight<string, number>()
  readonly #loading = new SingleFlight<number, string>()

  constructor(options: HttpRegistryOptions) {
    this.#access = new RegistryAccess(options.urls ?? [options.url], options.auth)
    this.#clock = options.clock
    this.#limits = { ...HTTP_REGISTRY_LIMITS, ...options.limits }
    this.#signal = options.signal
    this.#autoRegister = options.autoRegister ?? true
    this.#query = options.normalize === true ? '?normalize=true' : ''
    const [access, clock, limits] = [this.#access, this.#clock, this.#limits]
    this.#requests = new RegistryRequests({ access, clock, limits })
  }

  async register(subject: string, schema: string, options: SchemaOptions = {}): Promise<number> {
    const key = canonicalJson([subject, parsed(schema), options.references ?? []])
    const known = this.#ids.get(key)
    if (known !== undefined) return known
    const work = async (signal: AbortSignal): Promise<number> => {
      const id = await this.#register(subject, schema, { ...options, signal })
      rememberIn(this.#ids, [key, id], this.#limits.cachedSchemas)
      this.#refused.delete(id)
      return id
    }
    return this.#registering.run(key, work, options.signal)
  }

  async schemaById(id: number, { signal }: CallOptions = {}): Promise<string> {
    const known = this.#schemas.get(id)
    if (known !== undefined) return known
    const refusal = this.#refused.get(id)
    if (refusal !== undefined && refusal.untilMs > this.#clock.monotonic()) throw refusal.error
    return this.#loading.run(id, (flight) => this.#load(id, flight), signal)
  }

  async lookUp(
    subject: string,
    schema: string,
    { references, signal }: SchemaOptions = {},
  ): Promise<RegisteredSchema | undefined> {
    parsed(schema)
    const ask: Ask = {
      purpose: `look a schema up under subject ${quote(subject)}`,
      method: 'POST',
      path: `${pathOf(subject)}${this.#query}`,
      content: contentOf(schema, references),
      everywhere: true,
    }
    return this.#find(ask, shapes.REGISTERED_SCHEMA, signal)
  }

  async versions(subject: string, { signal }: CallOptions = {}): Promise<readonly number[]> {
    const ask: Ask = {
      purpose: `list the versions of subject ${quote(subject)}`,
      method: 'GET',
      path: `${pathOf(subject)}/versions`,
    }
    return (await this.#find(ask, shapes.VERSIONS, signal)) ?? []
  }

  async version(
    subject: string,
    version: number | 'latest',
    { signal }: CallOptions = {},
  ): Promise<RegisteredSchema> {
    const ask: Ask = {
      purpose: `fetch version ${version} of subject ${quote(subject)}`,
      method: 'GET',
      path: `${pathOf(subject)}/versions/${version}`,
      everywhere: true,
    }
    const found = await this.#find(ask, shapes.REGISTERED_SCHEMA, signal)
    if (found !== undefined) return found
    throw this.#unknown(`no version ${version} of subject ${quote(subject)}`, 'Register it first')
  }

  async checkCompatibility(
    subject: string,
    schema: string,
    options: SchemaOptions & { readonly version?: number | 'latest' } = {},
  ): Promise<Compatibility> {
    parsed(schema)
    const { version = 'latest', references, signal } = options
    const ask: Ask = {
      purpose: `compare a schema with version ${version} of subject ${quote(subject)}`,
      method: 'POST',
      path: `/compatibility${pathOf(subject)}/versions/${version}?verbose=true`,
      content: contentOf(schema, references),
    }
    if (version !== 'latest') return this.#ask(ask, shapes.COMPATIBILITY, signal)
    const found = await this.#find(ask, shapes.COMPATIBILITY, signal)
    return found ?? { isCompatible: true, messages: [] }
  }

  async compatibility(subject?: string, { signal }: CallOptions = {}): Promise<CompatibilityLevel> {
    const ofAll: Ask = {
      purpose: 'ask for the compatibility of all subjects',
      method: 'GET',
      path: '/config',
    }
    if (subject === undefined) return this.#ask(ofAll, shapes.LEVEL, signal)
    const ofOne: Ask = {
      purpose: `ask for the compatibility of subject ${quote(subject)}`,
      method: 'GET',
      path: `/config/${partOf(subject)}?defaultToGlobal=true`,
    }
    const level = await this.#find(ofOne, shapes.LEVEL, signal)
    return level ?? this.#ask(ofAll, shapes.LEVEL, signal)
  }

  async setCompatibility(
    subject: string | undefined,
    level: CompatibilityLevel,
    { signal }: CallOptions = {},
  ): Promise<void> {
    const whose = subject === undefined ? 'all subjects' : `subject ${quote(subject)}`
    const ask: Ask = {
      purpose: `set the compatibility of ${whose}`,
      method: 'PUT',
      path: subject === undefined ? '/config' : `/config/${partOf(subject)}`,
      content: { compatibility: level },
    }
    await this.#ask(ask, shapes.LEVEL, signal)
  }

  async #register(
    subject: string,
    schema: string,
    { references, signal }: SchemaOptions,
  ): Promise<number> {
    if (!this.#autoRegister) {
      const found = await this.lookUp(subject, schema, {
        ...(references && { references }),
        ...(signal && { signal }),
      })
      if (found !== undefined) return found.id
      const what = `this schema not under subject ${quote(subject)}, and autoRegister is off`
      throw this.#unknown(what, 'Register it where your schemas are deployed, then start again')
    }
    const ask: Ask = {
      purpose: `register a schema under subject ${quote(subject)}`,
      method: 'POST',
      path: `${pathOf(subject)}/versions${this.#query}`,
      content: contentOf(schema, references),
    }
    return this.#ask(ask, shapes.ID, signal)
  }

  async #load(id: number, signal: AbortSignal): Promise<string> {
    try {
      const schema = await this.#fetch(id, signal)
      rememberIn(this.#schemas, [id, schema], this.#limits.cachedSchemas)
      this.#refused.delete(id)
      return schema
    } catch (error) {
      if (error instanceof SerdeError && REFUSED_FOR_A_WHILE.has(error.code)) {
        const untilMs = this.#clock.monotonic() + this.#limits.missingSchemaMs
        rememberIn(this.#refused, [id, { error, untilMs }], this.#limits.missingSchemas)
      }
      throw error
    }
  }

  async #fetch(id: number, signal: AbortSignal): Promise<string> {
    const ask: Ask = {
      purpose: `fetch schema ${id}`,
      method: 'GET',
      path: `/schemas/ids/${id}`,
      schemaId: id,
      everywhere: true,
    }
    // What is read from damaged bytes may be negative; no registry has such an id.
    const found = id < 0 ? undefined : await this.#find(ask, shapes.STORED_SCHEMA, signal)
    if (found === undefined) {
      const advice = 'Check that the records come from writers of this very registry'
      throw this.#unknown(`no schema ${id}`, advice, id)
    }
    try {
      return await this.#whole(found, signal)
    } catch (error) {
      if (!isMillraceError(error, 'MILLRACE_BAD_SCHEMA')) throw error
      throw new SerdeError(
        'MILLRACE_BAD_SCHEMA',
        `schema ${id} of the registry at ${this.#place} cannot be used: ${error.message}`,
        { cause: error, schemaId: id, place: this.#place },
      )
    }
  }

  /** A schema with the types that it takes from others. */
  async #whole(
    { schema, schemaType, references }: StoredSchema,
    signal: AbortSignal,
  ): Promise<string> {
    if (schemaType !== 'AVRO') throw badSchema('', `the registry says that it is ${schemaType}`)
    if (references.length === 0) return schema
    const parts = await this.#referenced(references, signal)
    return JSON.stringify(inlineReferences(parsed(schema), parts))
  }

  /** The schemas that are referred to, and what they refer to in turn. */
  async #referenced(
    references: readonly SchemaReference[],
    signal: AbortSignal,
  ): Promise<readonly unknown[]> {
    const seen = new Set<string>()
    const parts: unknown[] = []
    const waiting = [...references]
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const key = JSON.stringify([next.subject, next.version])
      if (seen.has(key)) continue
      seen.add(key)
      if (seen.size > this.#limits.references) {
        const most = this.#limits.references
        throw badSchema('', `it is made of more than ${most} other schemas (limit references)`)
      }
      const found = await this.version(next.subject, next.version, { signal })
      parts.push(parsed(found.schema))
      waiting.push(...found.references)
    }
    return parts
  }

  /** What the answer holds; undefined where the registry says that there is no such thing. */
  async #find<T>(ask: Ask, shape: Shape<T>, signal?: AbortSignal): Promise<T | undefined> {
    const answer = await this.#answer(ask, signal)
    return isMissing(answer) ? undefined : this.#read(ask, shape, answer)
  }

  async #ask<T>(ask: Ask, shape: Shape<T>, signal?: AbortSignal): Promise<T> {
    return this.#read(ask, shape, await this.#answer(ask, signal))
  }

  async #answer(ask: Ask, signal?: AbortSignal): Promise<Answer> {
    using either = eitherSignal(signal, this.#signal)
    return await this.#requests.ask({ ...ask, signal: either.signal })
  }

  #read<T>(ask: Ask, shape: Shape<T>, answer: Answer): T {
    if (answer.status >= 300) throw refusalOf(ask, answer, (text) => this.#access.hide(text))
    const value = shape.read(answer.body)
    if (value !== undefined) return value
    throw badAnswer(ask, answer.address, unlike(shape.expected, answer.body))
  }

  get #place(): string {
    return this.#access.addresses.join(', ')
  }

  #unknown(what: string, advice: string, schemaId?: number): SerdeError {
    return new SerdeError(
      'MILLRACE_UNKNOWN_SCHEMA',
      `the schema registry at ${this.#place} has ${what}. ${advice}`,
      { place: this.#place, schemaId },
    )
  }
}

/** What another request would not change soon. */
const REFUSED_FOR_A_WHILE: ReadonlySet<string> = new Set([
  'MILLRACE_UNKNOWN_SCHEMA',
  'MILLRACE_BAD_SCHEMA',
])

function pathOf(subject: string): string {
  return `/subjects/${partOf(subject)}`
}

/** A subject in a path; one of dots alone would be a step up in it. */
function partOf(subject: string): string {
  if (!/^\.{0,2}$/.test(subject)) return encodeURIComponent(subject)
  throw misconfigured(`${quote(subject)} cannot be the name of a subject`)
}

function contentOf(schema: string, references: readonly SchemaReference[] = []): object {
  return references.length === 0 ? { schema } : { schema, references }
}

function parsed(schema: string): unknown {
  try {
    return JSON.parse(schema) as unknown
  } catch (cause) {
    throw new SerdeError(
      'MILLRACE_BAD_SCHEMA',
      `a schema has to be JSON text, and this is none: ${excerpt(schema)}`,
      { cause },
    )
  }
}
