/** Values as JSON text: readable everywhere, checked nowhere unless a check is given. */
import { asError } from '../model/errors.ts'
import { SerdeError } from './errors.ts'
import { excerpt, shorten } from './excerpt.ts'
import type { OpenSerde, Serde, SerdeContext } from './serde.ts'
import { readUtf8 } from './utf8.ts'

const NO_PREFIX = Buffer.alloc(0)

/**
 * JSON in UTF-8. `accept` decides whether a value that was read is a T; without it, T is a promise
 * of the author. What JSON cannot hold is an error where JSON.stringify says so (bigint, cycles,
 * undefined) and lost where it does not (NaN becomes null, a Date its text).
 */
export function json<T>(accept?: (value: unknown) => value is T): Serde<T> {
  return Object.freeze({
    name: 'json',
    open: (context: SerdeContext) => Promise.resolve(new OpenJson(context, accept)),
  })
}

class OpenJson<T> implements OpenSerde<T> {
  readonly prefix: Buffer = NO_PREFIX
  readonly #context: SerdeContext
  readonly #accept: ((value: unknown) => value is T) | undefined

  constructor(context: SerdeContext, accept: ((value: unknown) => value is T) | undefined) {
    this.#context = context
    this.#accept = accept
  }

  serialize(value: T): Buffer {
    let written: string | undefined
    try {
      // Undefined and functions give undefined, which the declaration of stringify leaves out.
      written = JSON.stringify(value) as string | undefined
    } catch (cause) {
      throw this.#refusal(value, cause)
    }
    if (written === undefined) throw this.#refusal(value)
    return Buffer.from(written, 'utf8')
  }

  deserialize(buffer: Buffer, start: number, end: number): T {
    const written = readUtf8(buffer, start, end)
    if (written === undefined) throw this.#damage('the bytes are not UTF-8')
    let value: unknown
    try {
      value = JSON.parse(written)
    } catch (cause) {
      throw this.#damage(shorten(asError(cause).message, 120), cause)
    }
    if (this.#accept !== undefined && !this.#accept(value)) {
      throw this.#damage(`the check given to json() refuses ${excerpt(value)}`)
    }
    return value as T
  }

  #refusal(value: T, cause?: unknown): SerdeError {
    const { topic, role } = this.#context
    const why = cause === undefined ? '' : ` (${shorten(asError(cause).message, 120)})`
    return new SerdeError(
      'MILLRACE_SERIALIZATION',
      `cannot write a ${role} of ${topic} as JSON: expected what JSON can hold, found ${excerpt(value)}${why}`,
      { cause },
    )
  }

  #damage(why: string, cause?: unknown): SerdeError {
    const { topic, role } = this.#context
    return new SerdeError(
      'MILLRACE_DESERIALIZATION',
      `cannot read a ${role} of ${topic} as JSON: ${why}. ` +
        'Check which serde wrote the topic; skip or dead-letter the record if it is the only one',
      { cause },
    )
  }
}
