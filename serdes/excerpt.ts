/** What a message shows of a value: its kind and a few characters, never ten megabytes of bytes. */

const EXCERPT_CHARACTERS = 40
const EXCERPT_BYTES = 8
const EXCERPT_KEYS = 5

/** `value` in a few words for a message: `string "abc"`, `Buffer of 3 bytes (01 02 03)`, `object { id, n }`. */
export function excerpt(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'string') return `string ${quote(value)}`
  if (typeof value === 'bigint') return `bigint ${shorten(`${value}n`)}`
  if (typeof value === 'number' || typeof value === 'boolean') return `${typeof value} ${value}`
  if (value instanceof Uint8Array) return excerptOfBytes(value)
  if (Array.isArray(value)) return `array of ${value.length}`
  if (typeof value === 'object') return excerptOfObject(value)
  return typeof value
}

/** `text` in quotes, cut to a few characters. */
export function quote(text: string): string {
  return JSON.stringify(shorten(text))
}

/** `text` cut to `most` characters, with a mark where something was left out. */
export function shorten(text: string, most: number = EXCERPT_CHARACTERS): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`
}

function excerptOfBytes(bytes: Uint8Array): string {
  const kind = Buffer.isBuffer(bytes) ? 'Buffer' : 'Uint8Array'
  const first = [...bytes.subarray(0, EXCERPT_BYTES)].map((byte) =>
    byte.toString(16).padStart(2, '0'),
  )
  const more = bytes.length > EXCERPT_BYTES ? ' …' : ''
  return `${kind} of ${bytes.length} bytes (${first.join(' ')}${more})`
}

function excerptOfObject(value: object): string {
  const keys = Object.keys(value)
  const more = keys.length > EXCERPT_KEYS ? ', …' : ''
  return `object { ${keys
    .slice(0, EXCERPT_KEYS)
    .map((key) => shorten(key))
    .join(', ')}${more} }`
}
