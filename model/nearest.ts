/** What somebody probably meant. */

/** The word of `words` that is fewest edits away from `typed`, if it is close enough to be a slip: at most a third of its letters. */
export function nearest(typed: string, words: readonly string[]): string | undefined {
  let best: string | undefined
  let fewest = Infinity
  for (const word of words) {
    const edits = editDistance(typed, word)
    const limit = Math.max(1, Math.floor(word.length / 3))
    if (edits <= limit && edits < fewest) [best, fewest] = [word, edits]
  }
  return best
}

/** Whether one letter added, dropped or replaced, or two neighbours swapped, make one word the other. */
export function isOneEditAway(one: string, other: string): boolean {
  return Math.abs(one.length - other.length) <= 1 && editDistance(one, other) === 1
}

/** Letters to add, drop, replace or swap with their neighbour (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1]
      const swapped = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      row[j] = Math.min(
        (last[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (last[j - 1] ?? 0) + (same ? 0 : 1),
        swapped ? (beforeLast[j - 2] ?? Infinity) + 1 : Infinity,
      )
    }
    ;[beforeLast, last] = [last, row]
  }
  return last[b.length] ?? Infinity
}
