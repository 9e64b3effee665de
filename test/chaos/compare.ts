/** Sequences of what had to come against what came: what is lost, doubled, out of order or never asked for. */

/** What is wrong with a record. */
export type Fault = 'lost' | 'doubled' | 'out of order' | 'unexpected'

/** Records of one place with the same fault. */
export interface Violation {
  readonly fault: Fault
  /** `topic[partition]`, and of which key where that matters. */
  readonly place: string
  readonly count: number
  /** The first of them, with their offsets where they are there. */
  readonly examples: readonly string[]
}

/** What came, and where it lies. */
export interface Came {
  readonly text: string
  readonly offset: number
}

/** How many examples a violation has. */
const EXAMPLES = 5

/** Everything in which a sequence differs from what had to come. */
export function compare(
  place: string,
  expected: readonly string[],
  came: readonly Came[],
): readonly Violation[] {
  const missing = countsOf(expected)
  const wanted = new Set(expected)
  const doubled: string[] = []
  const unexpected: string[] = []
  for (const { text, offset } of came) {
    const left = missing.get(text) ?? 0
    if (left > 0) missing.set(text, left - 1)
    else (wanted.has(text) ? doubled : unexpected).push(`${text} @${offset}`)
  }
  const lost = [...missing].flatMap(([text, times]) => Array<string>(times).fill(text))
  const found = [
    violation(place, 'lost', lost),
    violation(place, 'doubled', doubled),
    violation(place, 'unexpected', unexpected),
  ]
  // Where something is missing or too much, everything behind it stands elsewhere.
  if (found.every((each) => each.length === 0)) found.push(misplaced(place, expected, came))
  return found.flat()
}

/** As `compare`, for each group of records by itself: only within it does order mean something. */
export function compareGroups(
  place: string,
  expected: readonly (readonly [group: string, text: string])[],
  came: readonly (readonly [group: string, came: Came])[],
): readonly Violation[] {
  const [wanted, found] = [grouped(expected), grouped(came)]
  return [...new Set([...wanted.keys(), ...found.keys()])].flatMap((group) =>
    compare(`${place} ${group}`, wanted.get(group) ?? [], found.get(group) ?? []),
  )
}

function countsOf(texts: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1)
  return counts
}

function grouped<T>(pairs: readonly (readonly [group: string, item: T])[]): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const [group, item] of pairs) {
    const items = groups.get(group)
    if (items === undefined) groups.set(group, [item])
    else items.push(item)
  }
  return groups
}

function misplaced(
  place: string,
  expected: readonly string[],
  came: readonly Came[],
): readonly Violation[] {
  const wrong = came.flatMap(({ text, offset }, i) =>
    text === expected[i] ? [] : [`${text} @${offset} in the place of ${expected[i]}`],
  )
  return violation(place, 'out of order', wrong)
}

function violation(place: string, fault: Fault, all: readonly string[]): readonly Violation[] {
  if (all.length === 0) return []
  return [{ place, fault, count: all.length, examples: all.slice(0, EXAMPLES) }]
}
