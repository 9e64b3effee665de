/** Plain data without buffers: each is its base64 text, so that the questions of groups are JSON like all others. */

/** A value whose buffers are texts. */
export type TextOf<T> = T extends Buffer
  ? string
  : T extends string | number | boolean | null | undefined
    ? T
    : { readonly [K in keyof T]: TextOf<T[K]> }

/** The text of bytes. */
export function textOf(bytes: Buffer): string {
  return bytes.toString('base64')
}

/** The bytes of a text. */
export function bytesOf(text: string): Buffer {
  return Buffer.from(text, 'base64')
}
