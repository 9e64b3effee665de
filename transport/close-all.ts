/** Closing what was opened from a log. */

/** Closes all of these side by side, each whatever becomes of the others; then throws the first failure. */
export async function closeAll(opened: Iterable<AsyncDisposable>): Promise<void> {
  const closing = await Promise.allSettled(
    [...opened].map(async (each) => {
      await each[Symbol.asyncDispose]()
    }),
  )
  for (const each of closing) if (each.status === 'rejected') throw each.reason as Error
}
