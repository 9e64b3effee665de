/**
 * The seed of a random test, which says it where it fails: MILLRACE_SEED, so that a failure can be
 * repeated, or another one each time.
 */
export function drawnSeed(below = 2 ** 31): number {
  const told = process.env['MILLRACE_SEED']
  return told === undefined ? Math.floor(Math.random() * below) : Number(told)
}
