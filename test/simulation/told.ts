/** What an error says with all its causes, without a stack: the same at every run of a seed, whoever runs it. */
export function told(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const code = 'code' in error ? `${String(error.code)}: ` : ''
  const own = `${code}${error.message}`
  return error.cause === undefined ? own : `${own} ← ${told(error.cause)}`
}
