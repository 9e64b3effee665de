/**
 * The messages of Google's streaming service, as this project reads and writes them; the names are
 * the service's. The package's own types allow every field to be missing and every number to be a
 * text, which is also what arrives.
 */
import type { Shot } from '../schemas.ts'

/** The method of the service, as HTTP/2 names it. */
export const STREAMING_PATH =
  '/google.cloud.videointelligence.v1p3beta1.StreamingVideoIntelligenceService/StreamingAnnotateVideo'

/** The number of the feature that finds shots. */
export const SHOT_CHANGE_DETECTION = 2

/** Reads requests and writes responses, as a server does. */
export interface StreamingCodec {
  readonly decodeRequest: (bytes: Buffer) => StreamingRequest
  readonly encodeResponse: (response: StreamingAnswer) => Buffer
}

/** What the service is asked: the feature in the first message, content in each later one. */
export interface StreamingRequest {
  readonly feature: number | undefined
  readonly content: Buffer | undefined
}

/** What a server answers: one of the two. */
export interface StreamingAnswer {
  readonly error?: { readonly code: number; readonly message: string }
  readonly annotationResults?: { readonly shotAnnotations: AnsweredSegment[] }
}

/** A shot, as a server answers it. */
export type AnsweredSegment = ReturnType<typeof segmentOf>

/** What a client reads: one of the two, as loose as it arrives. */
export interface StreamingResponse {
  readonly error?: { readonly code?: number | null; readonly message?: string | null } | null
  readonly annotationResults?: { readonly shotAnnotations?: readonly Segment[] | null } | null
}

/** A stretch of a video. The end is the time of the last frame, not where it stops. */
export interface Segment {
  readonly startTimeOffset?: Duration | null
  readonly endTimeOffset?: Duration | null
}

/** A time. Missing parts are zero. `seconds` arrives as text, or as an object of protobufjs. */
export interface Duration {
  readonly seconds?: number | string | { toString(): string } | null
  readonly nanos?: number | null
}

/** The shot that a segment describes. */
export function shotOf({ startTimeOffset, endTimeOffset }: Segment): Shot {
  return { startUs: microsecondsOf(startTimeOffset), endUs: microsecondsOf(endTimeOffset) }
}

/** The segment that describes a shot. */
export function segmentOf({ startUs, endUs }: Shot): {
  readonly startTimeOffset: { readonly seconds: number; readonly nanos: number }
  readonly endTimeOffset: { readonly seconds: number; readonly nanos: number }
} {
  return { startTimeOffset: durationOf(startUs), endTimeOffset: durationOf(endUs) }
}

function microsecondsOf(duration: Duration | null | undefined): number {
  return Number(duration?.seconds ?? 0) * 1e6 + Math.round((duration?.nanos ?? 0) / 1e3)
}

function durationOf(timeUs: number): { readonly seconds: number; readonly nanos: number } {
  const seconds = Math.floor(timeUs / 1e6)
  return { seconds, nanos: Math.round((timeUs - seconds * 1e6) * 1e3) }
}
