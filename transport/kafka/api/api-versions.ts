/** ApiVersions: what a broker can do, and which features its cluster has switched on. */
import type { Api } from './api.ts'

export interface ApiVersionsRequest {
  readonly softwareName: string
  readonly softwareVersion: string
}

export interface ApiVersionsResponse {
  readonly errorCode: number
  readonly apis: readonly { readonly key: number; readonly min: number; readonly max: number }[]
  readonly throttleTimeMs: number
  /** The levels that hold for the whole cluster, by name: `transaction.version` among them. */
  readonly finalizedFeatures: ReadonlyMap<string, number>
}

/**
 * Version 3, whose response begins with a plain header although it is flexible: who asks does not
 * know yet what the other side speaks. A broker that does not know 3 answers in version 0 with
 * error 35; no broker since 2.4 does.
 */
export const API_VERSIONS: Api<ApiVersionsRequest, ApiVersionsResponse> = {
  key: 18,
  name: 'ApiVersions',
  versions: [3, 3],
  flexibleFrom: 3,
  encode(to, { softwareName, softwareVersion }) {
    to.string(softwareName).string(softwareVersion).tags()
  },
  decode(from) {
    const errorCode = from.int16()
    const apis = from.array(() => {
      const api = { key: from.int16(), min: from.int16(), max: from.int16() }
      from.tags()
      return api
    })
    const throttleTimeMs = from.int32()
    const finalizedFeatures = new Map<string, number>()
    from.tags({
      2: () => {
        from.array(() => {
          const name = from.string()
          finalizedFeatures.set(name, from.int16())
          from.int16()
          from.tags()
        })
      },
    })
    return { errorCode, apis, throttleTimeMs, finalizedFeatures }
  },
}
