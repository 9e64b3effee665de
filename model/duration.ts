/** Lengths of time in words. Everything in millrace counts milliseconds. */

/** `n` seconds in milliseconds. */
export function seconds(n: number): number {
  return n * 1000
}

/** `n` minutes in milliseconds. */
export function minutes(n: number): number {
  return seconds(n * 60)
}

/** `n` hours in milliseconds. */
export function hours(n: number): number {
  return minutes(n * 60)
}

/** `n` days in milliseconds. */
export function days(n: number): number {
  return hours(n * 24)
}
