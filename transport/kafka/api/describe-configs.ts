/** DescribeConfigs: the settings of topics or of a broker, defaults included. */
import type { WireReader } from '../wire/reader.ts'
import type { Api } from './api.ts'

/** Whose settings: a broker's are asked of that broker. */
export type ConfigResourceKind = 'topic' | 'broker'

export interface DescribeConfigsRequest {
  readonly resources: readonly ConfigResource[]
}

export interface ConfigResource {
  readonly kind: ConfigResourceKind
  /** A topic, or a node's number as text. */
  readonly name: string
  /** Null asks for all. */
  readonly settings: readonly string[] | null
}

export interface DescribeConfigsResponse {
  readonly throttleTimeMs: number
  readonly results: readonly DescribedConfig[]
}

export interface DescribedConfig {
  readonly errorCode: number
  readonly errorMessage: string | null
  readonly name: string
  readonly settings: readonly Setting[]
}

export interface Setting {
  readonly name: string
  /** Null where it is secret or has none. */
  readonly value: string | null
  /** 1 the topic's own, 2 and 3 a broker's at run time, 4 a broker's file, 5 a default. */
  readonly source: number
}

const TOPIC = 2
const BROKER = 4

export const DESCRIBE_CONFIGS: Api<DescribeConfigsRequest, DescribeConfigsResponse> = {
  key: 32,
  name: 'DescribeConfigs',
  versions: [3, 4],
  flexibleFrom: 4,
  encode(to, { resources }) {
    to.array(resources, ({ kind, name, settings }) => {
      to.int8(kind === 'topic' ? TOPIC : BROKER).string(name)
      to.nullableArray(settings, (setting) => to.string(setting))
      to.tags()
    })
    to.bool(false).bool(false).tags()
  },
  decode(from) {
    const throttleTimeMs = from.int32()
    const results = from.array(() => {
      const outcome = { errorCode: from.int16(), errorMessage: from.nullableString() }
      from.int8()
      const name = from.string()
      const settings = from.array(() => setting(from))
      from.tags()
      return { ...outcome, name, settings }
    })
    from.tags()
    return { throttleTimeMs, results }
  },
}

function setting(from: WireReader): Setting {
  const name = from.string()
  const value = from.nullableString()
  from.bool()
  const source = from.int8()
  from.bool()
  from.array(() => {
    from.string()
    from.nullableString()
    from.int8()
    from.tags()
  })
  from.int8()
  from.nullableString()
  from.tags()
  return { name, value, source }
}
