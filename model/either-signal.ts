/**
 * One signal for several reasons to stop.
 *
 * AbortSignal.any says the same, and is not used: Node keeps what it made for as long as anybody
 * listens to it, even where nobody is left who could abort it. One wait for something that never
 * comes then keeps an app that is long gone. Here the listeners stand on the sources alone, so what
 * nobody refers to is garbage, and the end of a scope takes them off sources that live longer.
 */

/** A signal that follows others until it is disposed. */
export interface EitherSignal extends Disposable {
  readonly signal: AbortSignal
}

/** Aborts with the first of `sources` that aborts, for its reason; an undefined one never does. */
export function eitherSignal(...sources: readonly (AbortSignal | undefined)[]): EitherSignal {
  const either = new AbortController()
  const followed = sources.filter((source) => source !== undefined)
  const onAbort = (): void => {
    either.abort(followed.find(({ aborted }) => aborted)?.reason)
  }
  if (followed.some(({ aborted }) => aborted)) onAbort()
  else for (const source of followed) source.addEventListener('abort', onAbort, { once: true })
  const letGo = (): void => {
    for (const source of followed) source.removeEventListener('abort', onAbort)
  }
  return { signal: either.signal, [Symbol.dispose]: letGo }
}
