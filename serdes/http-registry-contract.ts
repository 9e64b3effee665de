/** What a client of an HTTP registry takes and can do. */
import type { Clock } from '../model/clock.ts'
import type { RegistryAuth } from './http-registry-access.ts'
import type { HttpRegistryLimits } from './http-registry-limits.ts'
import type { Registry } from './registry.ts'

/** Where the registry is, and how it is used. */
export type HttpRegistryOptions = HttpRegistryAddress & {
  /** Default: none, or the user and password in the address. */
  readonly auth?: RegistryAuth
  readonly clock: Clock
  /** Whether schemas that the registry does not have are registered. False where a deployment does it. Default true. */
  readonly autoRegister?: boolean
  /** Whether the registry is asked to bring schemas into its normal form before it compares them. Default false. */
  readonly normalize?: boolean
  readonly limits?: Partial<HttpRegistryLimits>
  /** Ends everything that waits. */
  readonly signal?: AbortSignal
}

/** One address, or several of one registry; each up to the path before `/subjects`. */
export type HttpRegistryAddress =
  | { readonly url: string; readonly urls?: undefined }
  | { readonly urls: readonly string[]; readonly url?: undefined }

/** How much a new version of a schema may differ: from the last one, or (transitive) from all before it. */
export type CompatibilityLevel = (typeof COMPATIBILITY_LEVELS)[number]

/** Confluent's words for it. */
export const COMPATIBILITY_LEVELS = [
  'NONE',
  'BACKWARD',
  'BACKWARD_TRANSITIVE',
  'FORWARD',
  'FORWARD_TRANSITIVE',
  'FULL',
  'FULL_TRANSITIVE',
] as const

/** A part of a schema that is registered elsewhere: the full name of a type, and where it is defined. */
export interface SchemaReference {
  readonly name: string
  readonly subject: string
  readonly version: number
}

/** A version of a subject. */
export interface RegisteredSchema {
  readonly subject: string
  readonly version: number
  readonly id: number
  /** As the registry keeps it: without the types that it refers to. */
  readonly schema: string
  readonly references: readonly SchemaReference[]
}

/** Ends one call; others who wait for the same answer go on. */
export interface CallOptions {
  readonly signal?: AbortSignal
}

/** A schema with the other schemas that it refers to. */
export interface SchemaOptions extends CallOptions {
  readonly references?: readonly SchemaReference[]
}

/** Whether a schema may become the next version, and if not, why, where the registry says so. */
export interface Compatibility {
  readonly isCompatible: boolean
  readonly messages: readonly string[]
}

/** A registry and what Confluent's API has besides. */
export interface HttpRegistry extends Registry {
  /**
   * As `Registry` says. Rejects with MILLRACE_REGISTRY_INCOMPATIBLE where the subject's rules forbid
   * the schema, and with MILLRACE_UNKNOWN_SCHEMA where it is new and `autoRegister` is off.
   */
  register(subject: string, schema: string, options?: SchemaOptions): Promise<number>
  /** As `Registry` says; types of other schemas are put in. */
  schemaById(id: number, options?: CallOptions): Promise<string>
  /** The version that `schema` has under `subject`; undefined where it is not registered. */
  lookUp(
    subject: string,
    schema: string,
    options?: SchemaOptions,
  ): Promise<RegisteredSchema | undefined>
  /** The numbers of a subject's versions, none for a subject that is not there. */
  versions(subject: string, options?: CallOptions): Promise<readonly number[]>
  /** One version. Rejects with MILLRACE_UNKNOWN_SCHEMA. */
  version(
    subject: string,
    version: number | 'latest',
    options?: CallOptions,
  ): Promise<RegisteredSchema>
  /** Whether `schema` goes with a version of a subject, by default with the latest; with none it always does. */
  checkCompatibility(
    subject: string,
    schema: string,
    options?: SchemaOptions & { readonly version?: number | 'latest' },
  ): Promise<Compatibility>
  /** The level of a subject, or where it has none, or none is named, of the registry. */
  compatibility(subject?: string, options?: CallOptions): Promise<CompatibilityLevel>
  /** Sets the level of a subject, or of the registry where that is undefined. */
  setCompatibility(
    subject: string | undefined,
    level: CompatibilityLevel,
    options?: CallOptions,
  ): Promise<void>
}
