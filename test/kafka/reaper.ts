/**
 * Ends processes whose starter has ended without ending them: a test runner ends its workers by
 * signals, after which no code of theirs runs, and a broker would stay for ever. A shell waits at a
 * pipe, which the system closes however its owner ends, and then kills what it was told of.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import type { Writable } from 'node:stream'

/** A process id may have been given to another process since: only who names the folder is meant. */
const SCRIPT = `
pids=
while read -r pid; do pids="$pids $pid"; done
for pid in $pids; do
  case $(tr '\\0' ' ' < "/proc/$pid/cmdline" || ps -ww -o args= -p "$pid") in
    *"$1"*) kill -KILL "$pid" ;;
  esac
done
rm -rf "$1"
`

/** The last will of whoever starts processes that name a folder in their arguments. */
export class Reaper implements AsyncDisposable {
  readonly #shell: ChildProcessByStdio<Writable, null, null>

  /** Removes the folder at the end, too. */
  constructor(folder: string) {
    // In a session of its own, so that a Ctrl-C at the terminal does not end it first.
    this.#shell = spawn('sh', ['-c', SCRIPT, 'reaper', folder], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    })
  }

  /** From now on this process does not outlive us. */
  watch(pid: number): void {
    this.#shell.stdin.write(`${pid}\n`)
  }

  /** Ends what was told of, where it has not ended, and removes the folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#shell.exitCode !== null || this.#shell.signalCode !== null) return
    const ended = once(this.#shell, 'exit')
    this.#shell.stdin.end()
    await ended
  }
}
