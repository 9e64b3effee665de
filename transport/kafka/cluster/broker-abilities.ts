/** What a broker says that it can do: versions of requests, and features of the whole cluster. */
import { unsupportedVersion, type Address } from '../kafka-errors.ts'
import type { Api } from '../api/api.ts'
import type { ApiVersionsResponse } from '../api/api-versions.ts'

/** The abilities of one broker. */
export class BrokerAbilities {
  readonly #address: Address
  readonly #versions: ReadonlyMap<number, { readonly min: number; readonly max: number }>
  readonly #features: ReadonlyMap<string, number>

  constructor(address: Address, { apis, finalizedFeatures }: ApiVersionsResponse) {
    this.#address = address
    this.#versions = new Map(apis.map(({ key, min, max }) => [key, { min, max }]))
    this.#features = finalizedFeatures
  }

  /** Whether the broker knows the request at all. */
  knows(key: number): boolean {
    return this.#versions.has(key)
  }

  /** The highest version that both sides speak, or `wanted` where both do. Throws MILLRACE_KAFKA_UNSUPPORTED_VERSION. */
  versionFor<Q, R>(api: Api<Q, R>, wanted?: number): number {
    const [min, max] = wanted === undefined ? api.versions : [wanted, wanted]
    const theirs = this.#versions.get(api.key)
    const version = Math.min(max, theirs?.max ?? -1)
    if (theirs !== undefined && version >= Math.max(min, theirs.min)) return version
    throw unsupportedVersion(this.#address, api.name, {
      ours: min === max ? `version ${min}` : `a version from ${min} to ${max}`,
      theirs: theirs === undefined ? 'no version' : `versions ${theirs.min} to ${theirs.max}`,
    })
  }

  /** The level of a feature that holds for the whole cluster; 0 where it is off. */
  feature(name: string): number {
    return this.#features.get(name) ?? 0
  }

  /** For kafkajs, which looks up the requests of SASL in it. */
  kafkajsVersions(): Record<number, { minVersion: number; maxVersion: number }> {
    const entries = [...this.#versions].map(([key, { min, max }]) => [
      key,
      { minVersion: min, maxVersion: max },
    ])
    return Object.fromEntries(entries) as Record<number, { minVersion: number; maxVersion: number }>
  }
}
