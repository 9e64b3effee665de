/** A whole request as parts to be written one after the other: length, header, body. */
import type { Api } from '../api/api.ts'
import { WireWriter } from '../wire/writer.ts'

/** What stands in a request's header beside its key. */
export interface RequestHeader {
  readonly version: number
  readonly correlationId: number
  readonly clientId: string
}

/** Encodes `request`; parts of the request's own are passed on as they are. */
export function requestParts<Q, R>(
  api: Api<Q, R>,
  request: Q,
  { version, correlationId, clientId }: RequestHeader,
): readonly Buffer[] {
  const flexible = version >= api.flexibleFrom
  const name = Buffer.from(clientId)
  // The client's name has a plain length in flexible versions too.
  const to = new WireWriter(flexible)
  to.int16(api.key).int16(version).int32(correlationId)
  to.int16(name.length).raw(name).tags()
  api.encode(to, request, version)
  const length = Buffer.allocUnsafe(4)
  length.writeInt32BE(to.sizeBytes)
  return [length, ...to.parts()]
}
