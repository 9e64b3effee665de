/** What a client of an HTTP registry waits for, tries again and remembers, at most. */

/** The limits of one `httpRegistry`. */
export interface HttpRegistryLimits {
  /** One request, up to the last byte of its answer. Default 10,000. */
  readonly requestDeadlineMs: number
  /** One call, with everything that is tried again. Default 60,000. */
  readonly callDeadlineMs: number
  /** How often the addresses are gone through before a call fails. Default 6. */
  readonly rounds: number
  /** The longest wait after the first round; each further one may be twice as long. Default 100. */
  readonly firstBackoffMs: number
  /** What the waits grow to. Default 5,000. */
  readonly largestBackoffMs: number
  /** The longest `Retry-After` that is waited for; a longer one fails the call. Default 30,000. */
  readonly largestRetryAfterMs: number
  /** The largest answer that is read. Default 4 MiB. */
  readonly answerBytes: number
  /** How long an id that the registry does not have is refused without asking again. Default 10,000. */
  readonly missingSchemaMs: number
  /** How many such ids are remembered; the oldest is forgotten first. Default 1,000. */
  readonly missingSchemas: number
  /** How many schemas, and how many ids of own schemas, are remembered; the oldest is forgotten first. Default 10,000. */
  readonly cachedSchemas: number
  /** How many other schemas one may be made of. Default 200. */
  readonly references: number
}

/** The limits where nothing else is said. */
export const HTTP_REGISTRY_LIMITS: HttpRegistryLimits = Object.freeze({
  requestDeadlineMs: 10_000,
  callDeadlineMs: 60_000,
  rounds: 6,
  firstBackoffMs: 100,
  largestBackoffMs: 5_000,
  largestRetryAfterMs: 30_000,
  answerBytes: 4 << 20,
  missingSchemaMs: 10_000,
  missingSchemas: 1_000,
  cachedSchemas: 10_000,
  references: 200,
})

/** Puts an entry into a map that holds `most`; the oldest one goes. */
export function rememberIn<K, V>(
  map: Map<K, V>,
  [key, value]: readonly [K, V],
  most: number,
): void {
  map.delete(key)
  const [oldest] = map.keys()
  if (oldest !== undefined && map.size >= most) map.delete(oldest)
  map.set(key, value)
}
