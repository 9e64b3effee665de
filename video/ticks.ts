/** Times of containers, which count in ticks of their own, as microseconds. */

/** Ticks to whole microseconds, rounded to the nearest, exact for every time a double can count. */
export function microseconds(ticks: number, timescale: number): number {
  const seconds = Math.floor(ticks / timescale)
  return seconds * 1e6 + Math.round(((ticks - seconds * timescale) * 1e6) / timescale)
}
