/**
 * The items of `source`, each asked for while the consumer is busy with the one before, so that a
 * disk and a log work at the same time. No more than one item waits. An error of the source comes
 * where its item would have come. A consumer that leaves early ends the source.
 */
export async function* readAhead<T>(source: AsyncGenerator<T>): AsyncGenerator<T> {
  let next = source.next()
  try {
    for (;;) {
      const result = await next
      if (result.done === true) return
      next = source.next()
      // The error is thrown where `next` is awaited; until then nobody has to listen for it.
      next.catch(() => undefined)
      yield result.value
    }
  } finally {
    await next.catch(() => undefined)
    await source.return(undefined)
  }
}
