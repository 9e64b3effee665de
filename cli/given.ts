/** Options that were left out, left out again: a property that is undefined is not one that is missing. */

/** The properties of `properties` that have a value. */
export function given<T extends object>(
  properties: T,
): { readonly [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(properties).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { readonly [K in keyof T]?: Exclude<T[K], undefined> }
}
