/**
 * Processes that tests start, and that none of them leaves behind, whatever becomes of the test.
 *
 * A process ends with the test that started it, at the latest. Vitest does not know which of several
 * concurrent tests is running, nor of any test in a hook: what is started there ends with its file.
 * Where a worker comes to its own end before that, what it started ends with it.
 */
import type { ChildProcess } from 'node:child_process'
import { afterAll, onTestFinished, TestRunner, type RunnerTestCase } from 'vitest'

const alive = new Set<ChildProcess>()

/** Kills a process that has not ended by itself when its test does. Returns the process. */
export function endWithTest<Child extends ChildProcess>(child: Child): Child {
  alive.add(child)
  child.once('exit', () => alive.delete(child))
  const test = TestRunner.getCurrentTest<RunnerTestCase | undefined>()
  if (test !== undefined && test.concurrent !== true) onTestFinished(() => kill(child))
  return child
}

afterAll(killAll)
process.once('exit', killAll)

function killAll(): void {
  for (const child of alive) kill(child)
}

function kill(child: ChildProcess): void {
  child.kill('SIGKILL')
}
