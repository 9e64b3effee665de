/** Sizes and durations, as people write and read them. */

const SIZE_UNITS: ReadonlyMap<string, number> = new Map([
  ['', 1],
  ['b', 1],
  ['kb', 1e3],
  ['mb', 1e6],
  ['gb', 1e9],
  ['kib', 2 ** 10],
  ['mib', 2 ** 20],
  ['gib', 2 ** 30],
])

const DURATION_UNITS_MS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1e3],
  ['m', 60e3],
  ['h', 3600e3],
  ['d', 86_400e3],
])

/** The bytes of `5MiB`, `64KiB`, `5MB` or `5000000`; undefined where the text is no size above zero. */
export function parseBytes(text: string): number | undefined {
  const bytes = quantity(text, SIZE_UNITS)
  return bytes !== undefined && Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined
}

/** The milliseconds of `250ms`, `10s`, `5m`, `2h` or `1d`; undefined where the text is no duration. A number alone is none: its unit would be a guess. */
export function parseDurationMs(text: string): number | undefined {
  return quantity(text, DURATION_UNITS_MS)
}

/** `5.0 MiB`, `812 B`: one digit behind the point from KiB on. */
export function formatBytes(bytes: number): string {
  const units = ['KiB', 'MiB', 'GiB', 'TiB']
  let [value, unit] = [bytes, 'B']
  for (const larger of units) {
    if (value < 1024) break
    value /= 1024
    unit = larger
  }
  return unit === 'B' ? `${value} B` : `${value.toFixed(1)} ${unit}`
}

/** `0.8 s`, `12 s`, `3 min 20 s`, `2 h 5 min`. */
export function formatDuration(ms: number): string {
  const seconds = ms / 1000
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
}

function quantity(text: string, units: ReadonlyMap<string, number>): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim())
  const factor = units.get(match?.[2]?.toLowerCase() ?? 'none')
  return factor === undefined ? undefined : Math.round(Number(match?.[1]) * factor)
}
