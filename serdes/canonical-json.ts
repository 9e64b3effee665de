/** One text for equal JSON values, whatever the order of their properties and their white space. */

/** `value` as JSON with sorted properties and no white space: equal values give equal texts. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    part !== null && typeof part === 'object' && !Array.isArray(part) ? sorted(part) : part,
  )
}

function sorted(object: object): object {
  return Object.fromEntries(
    Object.entries(object).sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0)),
  )
}
