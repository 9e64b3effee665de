/** A question to whoever sits at the terminal. */
import { createInterface } from 'node:readline/promises'
import { usageError } from './usage-error.ts'

/**
 * Whether the answer is yes. Throws MILLRACE_USAGE, with what to do instead, where nobody can be
 * asked: input or output is no terminal.
 */
export async function confirmed(
  question: string,
  { otherwise, signal }: { readonly otherwise: string; readonly signal: AbortSignal },
): Promise<boolean> {
  const { stdin, stderr } = process
  if (!stdin.isTTY || !stderr.isTTY) throw usageError(otherwise)
  const lines = createInterface({ input: stdin, output: stderr })
  // In a terminal that waits for a line, Ctrl-C is a key and no signal.
  lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  // The end of the input is no yes.
  const ended = new Promise<string>((resolve) => lines.once('close', () => resolve('')))
  try {
    const answer = await Promise.race([lines.question(`${question} [y/N] `, { signal }), ended])
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    lines.close()
  }
}
